package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/limiter"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/monitor"
	"github.com/omni-write/threads/services/publisher/projector"
)

// maxSteps bounds how many states one wake-up walks through: prepare, publish and conclude are three.
const maxSteps = 12

// waker looks at a post and has the one thing done that its row says is due.
type waker struct {
	store      *posts.Store
	postReads  *batch.Batcher[batch.Read[posts.Post]]
	projector  *projector.Projector
	monitor    *monitor.Monitor
	creations  *limiter.Limiter
	questions  *limiter.Limiter
	alarms     *alarms
	outbox     *outbox
	snoozes    *snoozes
	waits      *waits
	preparer   *preparer
	caller     *caller
	confirmer  *confirmer
	concluder  *concluder
	permalinks *permalinks
	deleter    *deleter
	now        func() time.Time
}

// Wake looks at a post and does what its row says is due. A wake-up that is early, doubled, stale or about a post that
// is gone changes nothing.
func (w *waker) Wake(ctx context.Context, _ bus.Delivery, id string) error {
	if !w.projector.IsCurrent() {
		return bus.Later(time.Second)
	}
	for step := range maxSteps {
		p, err := batch.Fetch(ctx, w.postReads, id)
		if err != nil {
			return err
		}
		if p.ID == "" {
			return nil // there is no such post
		}
		if step == 0 {
			bus.Link(ctx, p.TraceParent)
		}
		if err := w.outbox.flushOld(ctx, p); err != nil {
			return err
		}
		if before, ok := w.store.Unacknowledged.Claimed(p); ok {
			if err := w.caller.releaseUnacknowledged(ctx, before, p); err != nil {
				return err
			}
			continue
		}
		if p.WakeAt.IsZero() {
			return nil
		}
		if p.WakeAt.After(w.now()) {
			return w.alarms.snooze(ctx, p, p.WakeAt)
		}
		if p.Lease != "" && p.LeaseUntil.After(w.now()) && !w.store.Unacknowledged.Has(p) {
			// Somebody works on it. Not for the rest of the lease: this wake-up may have replaced their own message.
			return w.alarms.snooze(ctx, p, w.now().Add(min(p.LeaseUntil.Sub(w.now()), time.Second)))
		}
		err = w.work(ctx, p)
		if err == nil || errors.Is(err, errDone) {
			w.monitor.Moved()
		}
		switch {
		case errors.Is(err, posts.ErrLost):
			continue // somebody moved it; what they left may be due too
		case errors.Is(err, errDone), errors.Is(err, errSnoozed):
			return nil
		case err != nil:
			return err
		}
	}
	return bus.Later(time.Second)
}

// errDone says that a post has come to its end, and need not be read again to know that nothing is due.
var errDone = errors.New("the post is final")

// work does the one thing that the post's state calls for. What asks Threads ahead of a publish call, or after it, needs a
// place: together those places are fewer than the messages that a process has in hand, so there is always one for a post
// that is ready.
func (w *waker) work(ctx context.Context, p *posts.Post) error {
	if p.Recalled && posts.IsOpen(p.State) {
		return w.waits.recall(ctx, p)
	}
	if p.Doubt && posts.IsOpen(p.State) && p.Attempt == 0 {
		return w.waits.notCalled(ctx, p)
	}
	if places, whose := w.placesFor(p); places != nil {
		release, again := places.Hold(p.UserID, whose, w.now)
		if release == nil {
			return w.snoozes.forPlace(ctx, p, again)
		}
		defer release()
	}
	switch p.State {
	case events.StateScheduled:
		return w.preparer.prepare(ctx, p)
	case events.StateReady:
		return w.caller.publish(ctx, p)
	case events.StateWaiting:
		return w.waits.resume(ctx, p)
	case events.StatePublishing, events.StateUnconfirmed:
		// Publishing with a lapsed lease: whoever called is gone, or cut off. That permits asking, never calling.
		return w.confirmer.confirm(ctx, p)
	case events.StateConcluding:
		return w.concluder.finishOutcome(ctx, p)
	case events.StatePublished, events.StateFailed:
		return w.afterEnd(ctx, p)
	}
	return fmt.Errorf("post %s is %s and yet has a time to be woken", p.ID, p.State)
}

// placesFor is the limiter of what the post's state calls for, and on whose account: how long a picture takes is not
// Threads' doing, so posts with media have places of their own beside the account's others.
func (w *waker) placesFor(p *posts.Post) (places *limiter.Limiter, whose string) {
	switch p.State {
	case events.StateScheduled:
		if _, media := p.Content(); len(media) > 0 {
			return w.creations, p.AccountID + " media"
		}
		return w.creations, p.AccountID
	case events.StatePublishing, events.StateUnconfirmed, events.StatePublished, events.StateFailed:
		return w.questions, p.AccountID
	}
	return nil, ""
}

// flushOldOutbox tells a change whose telling was cut short. A change of the last seconds is left alone: whoever made it is
// telling it, or the projector has not come to it yet.
func (o *outbox) flushOld(ctx context.Context, p *posts.Post) error {
	if p.ToldRev >= p.Rev || o.now().Sub(p.UpdatedAt) < republishAfter {
		return nil
	}
	return o.republish(ctx, p)
}

// republishAfter is how old an untold change must be before another worker tells it.
const republishAfter = 10 * time.Second

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

// resume takes a waiting post up again, where its container allows.
func (w *waits) resume(ctx context.Context, old *posts.Post) error {
	if w.now().After(old.Expires()) {
		return w.missed(ctx, old)
	}
	if old.Doubt { // of a release before this one: a post in doubt waits as unconfirmed
		return w.doubts.unconfirmed(ctx, old, posts.AbsentRetry, unclearAnswer())
	}
	if a, paused, err := w.stillPaused(ctx, old); err != nil || paused {
		if err != nil {
			return err
		}
		return w.paused(ctx, old, a)
	}
	return w.moves.save(ctx, old, old.Resume(w.now()), "")
}

// postpone lets a post wait, with a reason that its owner can read. It is told when the reason is news.
func (w *waits) postpone(ctx context.Context, old *posts.Post, reason *events.Fault, until time.Time, tried ...events.Attempt) error {
	return w.postponeFrom(ctx, old, old, reason, until, tried...)
}

// postponeFrom is postpone for a post of which more is known than its row says: base.
func (w *waits) postponeFrom(ctx context.Context, old, base *posts.Post, reason *events.Fault, until time.Time, tried ...events.Attempt) error {
	next, fact := base.Postpone(reason, until)
	if next.State == events.StateUnconfirmed {
		return w.doubts.saveUnconfirmed(ctx, old, next, fact, tried...)
	}
	return w.moves.save(ctx, old, next, fact, tried...)
}

// missed gives up a post whose time has passed by too much. One that may be live is looked for before.
func (w *waits) missed(ctx context.Context, old *posts.Post) error {
	if old.Doubt {
		return w.doubts.unconfirmed(ctx, old, posts.AbsentFail, overdue(old))
	}
	return w.concluder.fail(ctx, old, overdue(old))
}

func overdue(p *posts.Post) *events.Fault {
	why := ""
	if p.Reason != nil {
		why = " " + p.Reason.Message
	}
	return events.Faultf(events.Missed,
		"This post could not go out within the time allowed after its hour.%s Schedule it again if it still matters.", why)
}
