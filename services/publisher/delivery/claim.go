package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
)

// claimer claims posts.
type claimer struct {
	cfg    Config
	store  *posts.Store
	claims *batch.Batcher[posts.Claim]
	now    func() time.Time
}

// unacknowledgedLook is the pause before a claim of which nothing was heard is looked at.
const unacknowledgedLook = 100 * time.Millisecond

// claimsEvery is how often posts are claimed that have time: those of one such moment in one transaction.
const claimsEvery = 100 * time.Millisecond

// claimAt is when a post is claimed: by the lead ahead of its time, or up to claimsEvery before that.
func claimAt(publishAt time.Time, lead time.Duration) time.Time {
	return publishAt.Add(-lead).Truncate(min(claimsEvery, lead))
}

// claim moves a ready post to publishing: from here to the answer it is this worker's, and nobody may edit or
// cancel it. The quota is reserved in the same transaction, under the account's row lock, so that two workers
// cannot both take the last place.
func (c *claimer) claim(ctx context.Context, old *posts.Post) (*posts.Post, error) {
	now := c.now()
	next := old.Claim(uuid.NewString(), now, now.Add(c.cfg.Lease))
	wanted := posts.Claim{Old: old, Next: next, Late: posts.IsFirstCall(next) && now.Sub(next.PublishAt) > c.cfg.LateAfter, CallLasts: c.cfg.CallTimeout}
	if ahead := next.PublishAt.Sub(now); ahead > 0 {
		wanted.CallLasts += ahead
	}
	// A process that stops makes the call of what it has claimed, or takes the claim back: any other would have to ask Threads.
	err := unlessBusy(ctx, func() error { return c.claims.Settle(ctx, wanted) })
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
