package tokenkeeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
)

// sweepPage is how many accounts are read at once.
const sweepPage = 500

// Sweep is the daily look at every token that needs one.
func (s *Service) Sweep(ctx context.Context, _ bus.Delivery, _ string) error { return s.sweep(ctx) }

// sweep is the net under the alarms: it emits what a crash left out, and gives an alarm to every account that has no
// plan yet, is overdue, or comes due before the next sweep, in case its alarm was lost.
func (s *Service) sweep(ctx context.Context) error {
	_, unemitted := accounts.EmitMissing(ctx, s.db, s.bus.Emit)
	failed := []error{unemitted}
	after, seen := "", 0
	for {
		page, err := accounts.RefreshBefore(ctx, s.db, s.now().Add(s.cfg.Horizon), after, sweepPage)
		if err != nil {
			return err
		}
		for _, a := range page {
			// One account that cannot be settled must not keep the others from their alarms.
			if err := s.settle(ctx, a.ID); err != nil {
				failed = append(failed, fmt.Errorf("settle account %s: %w", a.ID, err))
			}
			if ctx.Err() != nil {
				return errors.Join(failed...)
			}
		}
		seen += len(page)
		if len(page) < sweepPage {
			break
		}
		after = page[len(page)-1].ID
	}
	s.log.Info("swept the tokens", zap.Int("looked_at", seen))
	return errors.Join(append(failed, s.watchGrants(ctx))...)
}

// sweepAtStart makes up for the time when nobody kept the tokens. It insists: without it an account whose alarm was
// lost would wait another day.
func (s *Service) sweepAtStart(ctx context.Context) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, s.sweep(ctx) },
		backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, wait time.Duration) {
			s.log.Warn("the sweep at start did not succeed yet", zap.Error(err), zap.Duration("retry_in", wait))
		}))
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
