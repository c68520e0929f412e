package command

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/signin"
)

func commandPath(id string) string { return "/api/threads/commands/" + url.PathEscape(id) }

// Command is how a command stands.
type Command struct {
	CommandID string          `json:"commandId"`
	Status    string          `json:"status" enum:"pending,succeeded,failed"`
	Result    json.RawMessage `json:"result,omitempty" doc:"What it made, when it succeeded: the same as the request would have answered."`
	Error     *edge.Problem   `json:"error,omitempty" doc:"Why it failed, as the request would have answered."`
}

type commandInput struct {
	ID string `path:"id" doc:"The command, as in the Location of a 202."`
}

type commandOutput struct {
	RetryAfter string `header:"Retry-After"`
	Body       Command
}

// notedWithin is how long an accepted command may take to be noted by its service.
const notedWithin = time.Second

// Get tells how a command stands: the address of every 202.
func (h *Sender) Get(ctx context.Context, in *commandInput) (*commandOutput, error) {
	if !events.IsCommandID(in.ID) {
		return nil, events.Faultf(events.NotFound, "There is no command with this id among yours.")
	}
	q := asks.GetCommand{UserID: signin.UserOf(ctx), ID: in.ID}
	o, err := bus.Ask[events.Outcome](ctx, h.Bus, q)
	// A command is accepted when it is on disk; its service notes it a moment later. Whoever follows a 202 at once must
	// not hear that there is no such thing.
	for end := time.Now().Add(notedWithin); errors.Is(err, &events.Fault{Code: events.NotFound}) && time.Now().Before(end) && clock.Sleep(ctx, notedWithin/10); {
		o, err = bus.Ask[events.Outcome](ctx, h.Bus, q)
	}
	if err != nil {
		return nil, err
	}
	out := &commandOutput{Body: Command{CommandID: in.ID}}
	switch {
	case !o.Done:
		out.Body.Status, out.RetryAfter = "pending", "1"
	case o.Fault != nil:
		out.Body.Status, out.Body.Error = "failed", edge.FromError(faultOf(o))
	default:
		out.Body.Status, out.Body.Result = "succeeded", o.Result
	}
	return out, nil
}
