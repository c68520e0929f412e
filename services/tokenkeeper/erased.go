package tokenkeeper

import (
	"context"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
)

// AccountErased takes the alarm away: the account has no row any more, and soon nobody remembers its name.
func (s *Service) AccountErased(ctx context.Context, _ bus.Delivery, ev events.AccountErased) error {
	return s.disarm(ctx, ev.AccountID)
}
