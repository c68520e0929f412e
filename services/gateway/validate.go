package gateway

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/edge"
)

const routeValidate = "/api/threads/post/validate"

// Trial is a post that is not yet wanted.
type Trial struct {
	Draft
	ScheduledAt LocalTime `json:"scheduledAt,omitempty" doc:"As when scheduling. Left out: now."`
	Clock
}

type validateInput struct {
	Media bool `query:"media" doc:"Whether the media are fetched and looked at, as Threads would; it takes up to fifteen seconds in all."`
	Body  Trial
}

// Resolve has the media looked at unless it is said that they are not to be. The framework's own default would take an explicit
// false for nothing said.
func (in *validateInput) Resolve(ctx huma.Context) []error {
	if ctx.Query("media") == "" {
		in.Media = true
	}
	return nil
}

// TrialResult is what would become of it.
type TrialResult struct {
	asks.Validation
	Errors   []edge.Flaw `json:"errors" doc:"What would refuse the post, with the codes of a refusal."`
	Warnings []edge.Flaw `json:"warnings" doc:"What would not refuse it, but should be known."`
	events.Zoned
}

type validateOutput struct{ Body TrialResult }

// validateWithin is how long the answer may take: files are fetched for it.
const validateWithin = 25 * time.Second

// validatePost holds a post against the rules without storing it.
func (h *postHandlers) validatePost(ctx context.Context, in *validateInput) (*validateOutput, error) {
	draft, err := in.Body.event()
	if err != nil {
		return nil, err
	}
	q := asks.ValidatePost{UserID: userOf(ctx), Draft: draft, Fetch: in.Media}
	var zoned events.Zoned
	if in.Body.ScheduledAt != "" {
		if q.PublishAt, zoned, err = parseScheduleTime("/scheduledAt", in.Body.ScheduledAt, in.Body.Clock); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, validateWithin)
	defer cancel()
	v, err := bus.Ask[asks.Validation](ctx, h.bus, q)
	if err != nil {
		return nil, err
	}
	fromURL := in.Body.hasMediaURL()
	return &validateOutput{Body: TrialResult{Validation: v, Errors: fieldErrorsFrom(v.Errors, fromURL), Warnings: fieldErrorsFrom(v.Warnings, fromURL), Zoned: zoned}}, nil
}

// fieldErrorsFrom puts details into the words of a problem. fromURL says that the client's media is in mediaUrl.
func fieldErrorsFrom(details []events.Detail, fromURL bool) []edge.Flaw {
	list := []edge.Flaw{}
	for _, d := range details {
		if fromURL {
			d.Pointer = toMediaURL(d.Pointer)
		}
		list = append(list, edge.Flaw{Pointer: d.Pointer, Detail: d.Message, Code: d.Code})
	}
	return list
}
