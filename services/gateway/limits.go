package gateway

import (
	"context"

	"github.com/omni-write/threads/internal/asks"
)

type getLimitsInput struct {
	AccountQuery
	At string `query:"at" format:"date-time" doc:"For when: RFC 3339 with Z or an offset. Left out: now. For later, what the queue will use by then is counted."`
}

type limitsOutput struct{ Body asks.Limits }

// getLimits shows how much of its limits an account has left, now or at a later time.
func (h *engagementHandlers) getLimits(ctx context.Context, in *getLimitsInput) (*limitsOutput, error) {
	at, err := moment("/at", in.At)
	if err != nil {
		return nil, err
	}
	limits, err := askThreads[asks.Limits](ctx, h.bus, asks.GetLimits{UserID: userOf(ctx), AccountID: in.AccountID, At: at})
	if err != nil {
		return nil, err
	}
	return &limitsOutput{Body: limits}, nil
}
