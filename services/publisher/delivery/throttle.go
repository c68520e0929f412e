package delivery

import (
	"cmp"
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

// One rule for every call that Threads refuses because there were too many: it is made again when Threads says, after
// ThrottleWait where it does not. What spends a quota may have met its end instead; then the limit edge tells which it was.

// throttled is how long a call waits of which Threads says how long, 0 when it does not.
func (c Config) throttled(asked time.Duration) time.Duration { return cmp.Or(asked, c.ThrottleWait) }

// pauseAfter is the pause before a call is made again whose nth failure in a row was err.
func (c Config) pauseAfter(err error, n int) time.Duration {
	if e := apiError(err); e != nil && e.Class == threads.Quota {
		return c.throttled(e.RetryAfter)
	}
	return clock.Backoff(n)
}

// quotas tell how long a call waits that Threads refused because there were too many.
type quotas struct {
	cfg Config
	api *threads.Client
	db  *bun.DB
	now func() time.Time
}

// roomAgain reckons how long a call waits that spends a quota and was refused for too many, and says whether the quota is full.
// Only the limit edge knows which limit it was: a full quota empties as its oldest uses leave the window, a throttle soon.
func (u *quotas) roomAgain(ctx context.Context, a access, q posts.Quota, asked time.Duration) (wait time.Duration, full bool, err error) {
	wait = u.cfg.throttled(asked)
	limits, err := u.api.Limits(ctx, a.token, a.account.Scopes)
	if e := apiError(err); e != nil && e.Class == threads.Quota {
		return max(wait, u.cfg.throttled(e.RetryAfter)), false, nil // a throttle: it is in the way of this call, too
	}
	if err != nil {
		return 0, false, err
	}
	allowance := limits.Posts
	switch q {
	case posts.QuotaReplies:
		allowance = limits.Replies
	case posts.QuotaDeletes:
		allowance = limits.Deletes
	}
	if allowance.Total == 0 || allowance.Used < allowance.Total {
		return wait, false, nil
	}
	uses, err := posts.QuotaUsed(ctx, u.db, []string{a.account.ID}, u.now())
	if err != nil {
		return 0, false, err
	}
	// Others may post for this account too: of theirs we know nothing, so from the first of ours that leaves it is looked
	// at again, and at least every half hour.
	empties := u.cfg.QuotaLook
	if oldest := uses[posts.AccountQuota{Account: a.account.ID, Quota: q}].Oldest; !oldest.IsZero() {
		empties = min(empties, max(oldest.Add(posts.QuotaWindow).Sub(u.now()), u.cfg.ThrottleWait))
	}
	return max(wait, empties), true, nil
}

// spendsQuota says whether a call that was refused for too many may have met the end of a quota.
func spendsQuota(e *threads.Error) bool {
	switch e.Op {
	case threads.OpCreate, threads.OpPublish, threads.OpRepost, threads.OpDelete:
		return true
	}
	return false
}

// heldBack is how long a call waits that was refused for too many and has no effect to be found out. Where the limit edge
// cannot be read, the call itself asks again.
func (u *quotas) heldBack(ctx context.Context, a access, q posts.Quota, e *threads.Error) time.Duration {
	if !spendsQuota(e) {
		return u.cfg.throttled(e.RetryAfter)
	}
	wait, _, err := u.roomAgain(ctx, a, q, e.RetryAfter)
	if err != nil {
		return u.cfg.throttled(e.RetryAfter)
	}
	return wait
}
