package delivery

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
)

// snoozes move the wake-ups of posts that found no place, or whose turn has not come.
type snoozes struct {
	cfg      Config
	db       *bun.DB
	store    *posts.Store
	alarms   *alarms
	delays   *batch.Batcher[posts.Delayed]
	spacings *batch.Batcher[spacing]
	now      func() time.Time
}

// untilDue sees to it that a post that was just saved is looked at again when its row says. Nobody reads it for that.
func (z *snoozes) untilDue(ctx context.Context, saved *posts.Post) (end, error) {
	if !saved.WakeAt.After(z.now()) {
		return moved, nil
	}
	return snoozed, z.alarms.snooze(ctx, saved, saved.WakeAt)
}

// forPlace puts off a post that found no place. Nothing is held meanwhile.
func (z *snoozes) forPlace(ctx context.Context, p *posts.Post, again time.Duration) (end, error) {
	if again <= time.Second && z.alarms.inHand.take(again) {
		return 0, bus.Later(again)
	}
	return z.delay(ctx, p, again)
}

// delay moves a post's wake-up and nothing else. It is written together with others: they come by the thousand.
func (z *snoozes) delay(ctx context.Context, p *posts.Post, wait time.Duration) (end, error) {
	at := z.now().Add(max(wait, 10*time.Millisecond))
	if err := z.delays.Do(ctx, posts.Delayed{Post: p, At: at}); err != nil {
		return 0, err
	}
	if err := z.alarms.snooze(ctx, p, at); err != nil {
		return 0, err
	}
	return later, nil
}

// spaceOut has overdue posts of an account go out Spacing apart, the earliest first: each gets a time of its own, from the
// one on at which the next may go. Were they all to come back then, each would be claimed and refused again for every one
// that goes.
func (z *snoozes) spaceOut(ctx context.Context, p *posts.Post, from time.Time) (end, error) {
	if wait := from.Sub(z.now()); wait < z.cfg.Spacing/2 {
		return z.delay(ctx, p, wait) // its turn has come, but for the others' jitter
	}
	if err := z.spacings.Do(ctx, spacing{p.AccountID, from}); err != nil {
		return 0, err
	}
	return respaced, nil
}

type spacing struct {
	account string
	from    time.Time
}

// spaceOutBatch spaces each account once.
func (z *snoozes) spaceOutBatch(ctx context.Context, batch []spacing) []error {
	from := map[string]time.Time{}
	for _, b := range batch {
		from[b.account] = clock.Latest(from[b.account], b.from)
	}
	failed := map[string]error{}
	for account, at := range from {
		failed[account] = z.store.SpaceOut(ctx, z.db, account, at, z.now().Add(-z.cfg.LateAfter), z.cfg.Spacing)
	}
	errs := make([]error, len(batch))
	for i, b := range batch {
		errs[i] = failed[b.account]
	}
	return errs
}
