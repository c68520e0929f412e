package delivery

import (
	"context"
	"strconv"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/draft"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// owners are those who change a post that was accepted: edit it, take it back, have it tried again, say what became of it, delete it.
type owners struct {
	cfg        Config
	bus        *bus.Bus
	api        *threads.Client
	db         *bun.DB
	store      *posts.Store
	drafts     *draft.Service
	ownerCalls *ownercalls.Service
	ledger     *ledger
	alarms     *alarms
	outbox     *outbox
	moves      *moves
	log        *zap.Logger
	now        func() time.Time
}

// move is an owner's move on a post: row and command are one transaction, guarded by state and rev; then come the
// alarm and the event. It wins or it says that it lost: no worker is asked. allowed, where there is one, judges first whether
// the post may be moved at all.
func (o *owners) move(ctx context.Context, d bus.Delivery, cmd events.Command, userID, id string, ifRev int64,
	allowed func(*posts.Post) error, move func(ctx context.Context, tx bun.Tx, old *posts.Post) (next *posts.Post, err error)) (any, error) {
	id = events.PostIDOf(userID, id)
	if err := o.outbox.flushOf(ctx, userID, id); err != nil {
		return nil, err
	}
	var moved *posts.Post
	prior, err := o.ledger.once(ctx, d, cmd, id, func(ctx context.Context, tx bun.Tx) (any, error) {
		old, err := o.store.Find(ctx, tx, userID, id)
		if err != nil {
			return nil, err
		}
		if allowed != nil {
			if err := allowed(old); err != nil {
				return nil, err
			}
		}
		if ifRev != 0 && ifRev != old.Rev {
			return nil, revMismatch(old)
		}
		if old.State == events.StateConcluding {
			return nil, errConcluding
		}
		next, err := move(ctx, tx, old)
		if err != nil {
			return nil, err
		}
		old.Lease, next.Lease = "", ""            // a worker that prepares the post loses it by its rev
		if next.State != events.StateConcluding { // its rev is raised by the event of its end
			next.Rev++
		}
		next.UpdatedAt, next.TraceParent = o.now(), bus.TraceParent(ctx)
		o.alarms.willArm(next)
		if err := o.store.Save(ctx, tx, old, next); err != nil {
			return nil, err
		}
		moved = next
		return next.Snapshot(), nil
	})
	if err != nil {
		return nil, err
	}
	if prior != nil {
		return o.ledger.repeat(ctx, prior)
	}
	if moved.WakeAt.IsZero() {
		if err := o.bus.Disarm(ctx, events.StreamPostAlarms, events.PostAlarm(moved.ID)); err != nil {
			// The row has decided; an alarm that still goes off will find it cancelled.
			o.log.Warn("alarm of a cancelled post left behind", postField(moved.ID), errField(err))
		}
	}
	if err := o.moves.armAndEmit(ctx, moved); err != nil {
		return nil, err
	}
	return moved.Snapshot(), nil
}

func revMismatch(p *posts.Post) *events.Fault {
	return events.Faultf(events.Conflict, "This post was changed meanwhile; read it again before you change it.").
		At("/ifMatch", "rev_mismatch", "The post is now at revision "+strconv.FormatInt(p.Rev, 10)+".")
}

// stillOpen says why an owner can no longer change a post or take it back, or nil.
func stillOpen(p *posts.Post) error {
	if !posts.IsOpen(p.State) || p.Doubt || p.PartlyPublished() {
		return tooLate(p)
	}
	return nil
}

// tooLate says why a post can no longer be changed.
func tooLate(p *posts.Post) *events.Fault {
	switch p.State {
	case events.StatePublished:
		return events.Faultf(events.Conflict, "This post is already live; delete it instead.")
	case events.StateCancelled:
		return events.Faultf(events.Conflict, "This post was already cancelled.")
	case events.StateFailed:
		return events.Faultf(events.Conflict, "This post has already failed and will not go out.")
	case events.StateScheduled, events.StateReady, events.StateWaiting:
		if p.PartlyPublished() {
			return events.Faultf(events.Conflict, "Parts of this chain are live already, and the others follow; delete it when it is done.")
		}
	case events.StateParked, events.StateUnconfirmed:
		return events.Faultf(events.Conflict, "It is not known yet whether this post is live; look at the profile before you do anything.")
	}
	return events.Faultf(events.Conflict, "This post is being published at this moment and can no longer be changed.")
}
