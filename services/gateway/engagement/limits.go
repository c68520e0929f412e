package engagement

import (
	"context"

	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/services/gateway/accounts"
	"github.com/omni-write/threads/services/gateway/signin"
	"github.com/omni-write/threads/services/gateway/times"
)

type getLimitsInput struct {
	accounts.AccountQuery
	At string `query:"at" format:"date-time" doc:"For when: RFC 3339 with Z or an offset. Left out: now. For later, what the queue will use by then is counted."`
}

type limitsOutput struct{ Body asks.Limits }

// GetLimits shows how much of its limits an account has left, now or at a later time.
func (h *Handlers) GetLimits(ctx context.Context, in *getLimitsInput) (*limitsOutput, error) {
	at, err := times.Moment("/at", in.At)
	if err != nil {
		return nil, err
	}
	limits, err := askThreads[asks.Limits](ctx, h.Bus, asks.GetLimits{UserID: signin.UserOf(ctx), AccountID: in.AccountID, At: at})
	if err != nil {
		return nil, err
	}
	return &limitsOutput{Body: limits}, nil
}
