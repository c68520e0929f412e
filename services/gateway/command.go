package gateway

import (
	"context"
	"encoding/json"
	"net/url"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
)

func commandPath(id string) string { return "/api/threads/commands/" + url.PathEscape(id) }

// Command is how a command stands.
type Command struct {
	CommandID string          `json:"commandId"`
	Status    string          `json:"status" enum:"pending,succeeded,failed"`
	Result    json.RawMessage `json:"result,omitempty" doc:"What it made, when it succeeded: the same as the request would have answered."`
	Error     *Problem        `json:"error,omitempty" doc:"Why it failed, as the request would have answered."`
}

type commandInput struct {
	ID string `path:"id"`
}

type commandOutput struct {
	RetryAfter string `header:"Retry-After"`
	Body       Command
}

// getCommand tells how a command stands: the address of every 202.
func (s *Service) getCommand(ctx context.Context, in *commandInput) (*commandOutput, error) {
	if !events.IsCommandID(in.ID) {
		return nil, events.Faultf(events.NotFound, "There is no command with this id among yours.")
	}
	o, err := bus.Ask[events.Outcome](ctx, s.bus, events.GetCommand{UserID: userOf(ctx), ID: in.ID})
	if err != nil {
		return nil, err
	}
	out := &commandOutput{Body: Command{CommandID: in.ID}}
	switch {
	case !o.Done:
		out.Body.Status, out.RetryAfter = "pending", "1"
	case o.Fault != nil:
		out.Body.Status, out.Body.Error = "failed", ofFault(o.Fault)
	default:
		out.Body.Status, out.Body.Result = "succeeded", o.Result
	}
	return out, nil
}
