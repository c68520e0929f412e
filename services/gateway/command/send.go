// Package command sends what a request wants done, once for each Idempotency-Key, and tells how it ended.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/services/gateway/edge"
)

// Change is part of every request that changes something: it becomes a command.
type Change struct {
	Idempotent
	Prefer string `header:"Prefer" doc:"wait=N waits up to N seconds (0 to 30, usually 10) for the outcome before answering 202; respond-async does not wait."`
}

// Pending is the answer to a command that is not done yet. It is on disk and will be done.
type Pending struct {
	CommandID string `json:"commandId"`
	Status    string `json:"status" enum:"pending"`
	PostID    string `json:"postId,omitempty" doc:"The post that the command makes or changes, where it is known."`
}

// Answer is an answer to a command: what it made, or that it is not done yet.
type Answer struct {
	Status     int
	Location   string `header:"Location" doc:"Where the new post is, or, with 202, where to ask for the outcome."`
	ETag       string `header:"ETag" doc:"The post's rev, for If-Match."`
	RetryAfter string `header:"Retry-After" doc:"With 202: when to ask again, in seconds."`
	Body       any
}

// Sender sends commands and tells how they ended.
type Sender struct {
	Bus   *bus.Bus
	Usual time.Duration // how long a request waits that does not say so itself
	Now   func() time.Time
}

// Send gives a command and waits for what it makes, a T. Nil means that it is not done yet.
func Send[T any](ctx context.Context, h *Sender, c *Change, cmd events.Command, body any) (made *T, commandID string, err error) {
	o, err := c.Options(cmd.Actor(), body)
	if err != nil {
		return nil, "", err
	}
	outcome, done := h.OutcomeOfRepeat(ctx, cmd, o)
	if !done {
		if outcome, err = h.do(ctx, cmd, o, c.wait(h.Usual)); err != nil {
			return nil, "", whereToAsk(err, o.ID)
		}
	}
	if !outcome.Done {
		return nil, o.ID, nil
	}
	if outcome.Fault != nil {
		return nil, o.ID, whereToAsk(faultOf(outcome), o.ID)
	}
	made = new(T)
	if err := json.Unmarshal(outcome.Result, made); err != nil {
		return nil, o.ID, fmt.Errorf("decode what %s made: %w", cmd.Type(), err)
	}
	return made, o.ID, nil
}

// repeatEvery is how soon the outcome of a command that came with a key is asked for, besides being waited for; each time it
// is twice as long until the next, up to repeatSeldom.
const repeatEvery, repeatSeldom = 200 * time.Millisecond, 2 * time.Second

// do sends a command and waits for its outcome. The stream drops a repeat of a command that is still worked on, and its
// outcome is told to the first sender alone: so who came with a key also asks.
func (h *Sender) do(ctx context.Context, cmd events.Command, o bus.CommandOptions, wait time.Duration) (events.Outcome, error) {
	edge.Leave(ctx) // who only waits keeps nobody off
	if o.Key == "" {
		return h.Bus.Do(ctx, cmd, o, wait)
	}
	end := h.Now().Add(wait)
	outcome, err := h.Bus.Do(ctx, cmd, o, min(wait, repeatEvery))
	for pause := repeatEvery; err == nil && !outcome.Done && ctx.Err() == nil; pause = min(2*pause, repeatSeldom) {
		if noted, done := h.OutcomeOfRepeat(ctx, cmd, o); done {
			return noted, nil
		}
		if !h.Now().Before(end) {
			break
		}
		clock.Sleep(ctx, min(pause, max(0, end.Sub(h.Now()))))
	}
	return outcome, err
}

// OutcomeOfRepeat looks whether a command that came with a key was done before. The stream drops a repeat, so nobody
// would tell its outcome a second time. Not to know is not to have been done: the command's own service still judges.
func (h *Sender) OutcomeOfRepeat(ctx context.Context, cmd events.Command, o bus.CommandOptions) (events.Outcome, bool) {
	if o.Key == "" {
		return events.Outcome{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	outcome, err := bus.Ask[events.Outcome](ctx, h.Bus, asks.GetCommand{UserID: cmd.Actor(), ID: o.ID, Key: o.Key, BodyHash: o.BodyHash})
	return outcome, err == nil && outcome.Done
}

// PostPath is where a post is.
func PostPath(id string) string { return "/api/threads/post/" + url.PathEscape(id) }

// faultOf is the fault of a command, with the post that it befell, where one was made.
func faultOf(o events.Outcome) error {
	var post struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(o.Result, &post); err != nil || !events.IsPostID(post.ID) {
		return o.Fault // nothing was made
	}
	return &edge.FailedPost{Fault: o.Fault, PostID: post.ID, Location: PostPath(post.ID)}
}

// whereToAsk adds to an unknown outcome the command by which it will be known.
func whereToAsk(err error, commandID string) error {
	var f *events.Fault
	if errors.As(err, &f) && f.Code == events.Unknown {
		return &edge.UnknownOutcome{Fault: f, CommandID: commandID, Instance: commandPath(commandID)}
	}
	return err
}

// StillPending is the answer 202.
func StillPending(commandID, postID string) *Answer {
	return &Answer{
		Status: http.StatusAccepted, Location: commandPath(commandID), RetryAfter: "1",
		Body: Pending{CommandID: commandID, Status: "pending", PostID: postID},
	}
}

// Resolve says which preference is heeded, and reads the key.
func (c *Change) Resolve(ctx huma.Context) []error {
	if _, applied := c.preference(); applied != "" {
		ctx.SetHeader("Preference-Applied", applied)
	}
	return c.Idempotent.Resolve(ctx)
}

// wait is how long the request would wait for its outcome.
func (c *Change) wait(usual time.Duration) time.Duration {
	if wait, applied := c.preference(); applied != "" {
		return wait
	}
	return usual
}

// preference reads Prefer (RFC 7240): how long to wait, and the words in which that is confirmed; none where nothing of it
// is understood.
func (c *Change) preference() (wait time.Duration, applied string) {
	for preference := range strings.SplitSeq(c.Prefer, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "respond-async":
			applied = "respond-async" // unless how long to wait is said as well
		case "wait":
			if seconds, err := strconv.ParseUint(strings.TrimSpace(value), 10, 16); err == nil {
				wait = min(time.Duration(seconds)*time.Second, MaxWait)
				return wait, fmt.Sprintf("wait=%d", wait/time.Second)
			}
		}
	}
	return 0, applied
}

// MaxWait is the longest that a request may wait for its outcome.
const MaxWait = 30 * time.Second
