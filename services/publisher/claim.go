package publisher

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
)

// A busy account is tried again a few times, within the time that a claim has before its call. Then the message comes again.
const (
	busyTries = 6
	busyPause = 5 * time.Millisecond // doubling
	busyAgain = 250 * time.Millisecond
)

// unlessBusy does again, a few times, what finds its account busy.
func unlessBusy(ctx context.Context, do func() error) error {
	err := do()
	for n, wait := 1, busyPause; errors.Is(err, posts.ErrAccountBusy) && n < busyTries && clock.Sleep(ctx, wait); n, wait = n+1, 2*wait {
		err = do()
	}
	return err
}

// claim moves a ready post to publishing: from here to the answer it is this worker's, and nobody may edit or
// cancel it. The quota is reserved in the same transaction, under the account's row lock, so that two workers
// cannot both take the last place.
func (c *caller) claim(ctx context.Context, old *posts.Post) (*posts.Post, error) {
	now := c.now()
	next := old.Claim(uuid.NewString(), now, now.Add(c.cfg.Lease))
	wanted := posts.Claim{Old: old, Next: next, Late: next.CurrentPart() == 0 && now.Sub(next.PublishAt) > c.cfg.LateAfter, CallLasts: c.cfg.CallTimeout}
	if ahead := next.PublishAt.Sub(now); ahead > 0 {
		wanted.CallLasts += ahead
	}
	err := unlessBusy(ctx, func() error { return c.claims.Do(ctx, wanted) })
	if err == nil {
		return next, nil
	}
	if !decided(err) { // it may have been made all the same; the next wake-up sees
		c.store.Unacknowledged.Add(next.Lease, old)
		return nil, bus.Later(unacknowledgedLook)
	}
	return nil, err
}

// decided says that a claim was judged, and not made.
func decided(err error) bool {
	for _, judgement := range []error{posts.ErrAccountBusy, posts.ErrDuplicateContent, posts.ErrLost} {
		if errors.Is(err, judgement) {
			return true
		}
	}
	return errors.As(err, new(posts.AccountPausedError)) || errors.As(err, new(posts.QuotaFullError)) || errors.As(err, new(posts.SpacingError)) || pg.Refused(err)
}
