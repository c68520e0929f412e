package delivery

import (
	"context"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/posts"
)

// Whoever disconnects an account is told that its queue is cancelled, and most of it is in that very transaction
// (accounts.Disconnect). What was on its way then is recalled: it ends as soon as it is sure that it is not live, though the
// account be connected again by then.

// recall ends a post whose account was disconnected. One that may be live is looked for first.
func (w *waits) recall(ctx context.Context, old *posts.Post) (end, error) {
	if erased, err := accounts.HasTombstone(ctx, w.db, old.AccountID); err != nil || erased {
		if err != nil {
			return 0, err
		}
		// Its erasure answers whoever waits, and takes the row: no lease is to be in its way.
		return moved, w.moves.save(ctx, old, old.SnoozeUntil(w.now().Add(time.Minute)), "")
	}
	switch {
	case old.Doubt:
		return moved, w.doubts.unconfirmed(ctx, old, posts.AbsentFail, events.Faultf(events.Refused,
			"The account of this post was disconnected while it went out; it is tried no more unless you have it tried again."))
	case old.PartlyPublished():
		return w.concluder.fail(ctx, old, events.Faultf(events.NotFound,
			"The account of this chain was disconnected while it went out; connect it again and have the rest tried again."))
	}
	return moved, w.moves.save(ctx, old, old.Cancel(accounts.QueueCancelled()), events.FactCancelled)
}
