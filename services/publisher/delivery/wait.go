package delivery

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/projector"
)

// waits let posts wait for what they lack, with a reason that their owner can read, or end them.
type waits struct {
	cfg          Config
	db           *bun.DB
	accountReads *batch.Batcher[batch.Read[accounts.Account]]
	projector    *projector.Projector
	tokens       *tokens
	references   *references
	moves        *moves
	doubts       *doubts
	concluder    *concluder
	now          func() time.Time
}

// postpone lets a post wait, with a reason that its owner can read. That is emitted when the reason is news.
func (w *waits) postpone(ctx context.Context, old *posts.Post, reason *events.Fault, until time.Time, tried ...asks.Attempt) error {
	return w.postponeFrom(ctx, old, old, reason, until, tried...)
}

// postponeFrom is postpone for a post of which more is known than its row says: base.
func (w *waits) postponeFrom(ctx context.Context, old, base *posts.Post, reason *events.Fault, until time.Time, tried ...asks.Attempt) error {
	next, fact := base.Postpone(reason, until)
	if next.State == events.StateUnconfirmed {
		return w.doubts.saveUnconfirmed(ctx, old, next, fact, tried...)
	}
	return w.moves.save(ctx, old, next, fact, tried...)
}

// missed gives up a post whose time has passed by too much. One that may be live is looked for before.
func (w *waits) missed(ctx context.Context, old *posts.Post) (end, error) {
	if old.Doubt {
		return moved, w.doubts.unconfirmed(ctx, old, posts.AbsentFail, overdue(old))
	}
	return w.concluder.fail(ctx, old, overdue(old))
}

// waitForThreads lets a post wait while Threads is down. Not for long at a time: when Threads is back, the posts of the
// last minutes are overdue.
func (w *waits) waitForThreads(ctx context.Context, old, base *posts.Post) error {
	wait := w.cfg.BreakerRetry + rand.N(w.cfg.BreakerRetry) //nolint:gosec // spreads tries, guards nothing
	return w.postponeFrom(ctx, old, base, threadsDown(), w.now().Add(wait))
}

// notCalled ends a doubt that is about no call: the release before this one turns to the next part of a chain, or fails a
// post that is then tried again, and leaves the doubt of what it has settled.
func (w *waits) notCalled(ctx context.Context, old *posts.Post) error {
	return w.moves.save(ctx, old, old.WithoutDoubt(posts.ProofUnsent).Released(), "")
}
