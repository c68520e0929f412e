package posts

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/signin"
	"github.com/omni-write/threads/services/gateway/times"
)

// RouteValidate is where a post is tried.
const RouteValidate = "/api/threads/post/validate"

// Trial is a post that is not yet wanted.
type Trial struct {
	Draft
	ScheduledAt times.LocalTime `json:"scheduledAt,omitempty" doc:"As when scheduling. Left out: now."`
	times.Clock
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
	Media    []MediaLook `json:"media" doc:"What was found at the address of each picture and video, where they were looked at."`
	events.Zoned
}

// MediaLook is what was found at the address of a picture or video.
type MediaLook struct {
	asks.MediaLook
	Problems []MediaProblem `json:"problems,omitempty" doc:"Why Threads would refuse it, or why it was not looked at, as in errors."`
}

// MediaProblem is a problem of a picture or video, of the same shape as errors and warnings.
type MediaProblem struct {
	edge.Flaw
	Message string `json:"message" deprecated:"true" doc:"The same as detail, under the name that it had first."`
}

func triedMedia(looks []asks.MediaLook, fromURL bool) []MediaLook {
	list := []MediaLook{}
	for _, look := range looks {
		tried := MediaLook{MediaLook: look}
		for _, flaw := range FieldErrorsFrom(look.Problems, fromURL) {
			tried.Problems = append(tried.Problems, MediaProblem{flaw, flaw.Detail})
		}
		if fromURL {
			tried.Pointer = toMediaURL(tried.Pointer)
		}
		list = append(list, tried)
	}
	return list
}

type validateOutput struct{ Body TrialResult }

// validateWithin is how long the answer may take: files are fetched for it.
const validateWithin = 25 * time.Second

// ValidatePost holds a post against the rules without storing it.
func (h *Handlers) ValidatePost(ctx context.Context, in *validateInput) (*validateOutput, error) {
	draft, err := in.Body.Event()
	if err != nil {
		return nil, err
	}
	q := asks.ValidatePost{UserID: signin.UserOf(ctx), Draft: draft, Fetch: in.Media}
	var zoned events.Zoned
	if in.Body.ScheduledAt != "" {
		if q.PublishAt, zoned, err = times.ParseSchedule("/scheduledAt", in.Body.ScheduledAt, in.Body.Clock); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, validateWithin)
	defer cancel()
	v, err := bus.Ask[asks.Validation](ctx, h.Bus, q)
	if err != nil {
		return nil, err
	}
	fromURL := in.Body.HasMediaURL()
	return &validateOutput{Body: TrialResult{Validation: v, Errors: FieldErrorsFrom(v.Errors, fromURL), Warnings: FieldErrorsFrom(v.Warnings, fromURL), Media: triedMedia(v.Media, fromURL), Zoned: zoned}}, nil
}

// FieldErrorsFrom puts details into the words of a problem. fromURL says that the client's media is in mediaUrl.
func FieldErrorsFrom(details []events.Detail, fromURL bool) []edge.Flaw {
	list := []edge.Flaw{}
	for _, d := range details {
		if fromURL {
			d.Pointer = toMediaURL(d.Pointer)
		}
		list = append(list, edge.Flaw{Pointer: d.Pointer, Detail: d.Message, Code: d.Code})
	}
	return list
}
