package publisher

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
func (s *Service) recall(ctx context.Context, was *posts.Post) error {
	if buried, err := buriedNow(ctx, s.db, was.AccountID); err != nil || buried {
		if err != nil {
			return err
		}
		p := *was // its erasure answers whoever waits, and takes the row: no lease is to be in its way
		p.Lease, p.WakeAt = "", s.now().Add(time.Minute)
		return s.step(ctx, was, &p, "")
	}
	switch {
	case was.Doubt:
		return s.unconfirmed(ctx, was, posts.AbsentFail, events.Faultf(events.Refused,
			"The account of this post was disconnected while it went out; it is tried no more unless you have it tried again."))
	case was.PartlyPublished():
		return s.fail(ctx, was, events.Faultf(events.NotFound,
			"The account of this chain was disconnected while it went out; connect it again and have the rest tried again."))
	}
	p := *was
	p.State, p.Lease, p.WakeAt = events.StateCancelled, "", time.Time{}
	p.Reason = accounts.QueueCancelled()
	p.DiscardContainer()
	return s.step(ctx, was, &p, events.FactCancelled)
}
