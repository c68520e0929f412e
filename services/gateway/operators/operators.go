// Package operators answers what those who run the system ask about the whole of it.
package operators

import (
	"context"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/signin"
)

// RouteOperations is where the figures of the whole system are.
const RouteOperations = "/api/threads/operations"

// Handlers answer those whose token has the claim of an operator, and nobody else.
type Handlers struct{ Bus *bus.Bus }

type operationsOutput struct{ Body asks.Operations }

// GetOperations says how the whole system does.
func (h *Handlers) GetOperations(ctx context.Context, _ *struct{}) (*operationsOutput, error) {
	who := signin.SessionOf(ctx)
	if !who.Operator {
		return nil, events.Faultf(events.NotFound, "This is for those who run the system, whose tokens say so (AUTH_OPERATOR_CLAIM).")
	}
	figures, err := bus.Ask[asks.Operations](ctx, h.Bus, asks.GetOperations{UserID: who.User})
	if err != nil {
		return nil, err
	}
	return &operationsOutput{Body: figures}, nil
}
