package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/limiter"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/delivery/pace"
	"github.com/omni-write/threads/services/publisher/monitor"
	"github.com/omni-write/threads/services/publisher/projector"
)

// waker looks at a post and has the one thing done that its row says is due.
type waker struct {
	store      *posts.Store
	postReads  *batch.Batcher[batch.Read[posts.Post]]
	projector  *projector.Projector
	monitor    *monitor.Monitor
	creations  *limiter.Limiter
	pacer      *pace.Pacer
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

// maxSteps bounds how many states one wake-up walks through: prepare, publish and conclude are three.
const maxSteps = 12

// Wake looks at a post and does what its row says is due. A wake-up that is early, doubled, stale or about a post that
// is gone changes nothing.
func (w *waker) Wake(ctx context.Context, d bus.Delivery, id string) error {
	if !w.projector.IsCurrent() {
		return bus.Later(time.Second)
	}
	if wait := untilGathered(d, w.now()); wait > 0 && !clock.Sleep(ctx, wait) {
		return ctx.Err()
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
		end, err := w.work(ctx, p)
		if end == snoozed || err == nil && (end == moved || end == final) {
			w.monitor.Moved()
		}
		switch {
		case errors.Is(err, posts.ErrLost):
			continue // somebody moved it; what they left may be due too
		case err != nil:
			return err
		}
		if end == snoozed || end == later || end == final {
			return nil
		}
	}
	return bus.Later(time.Second)
}

const (
	// gatherEvery is how often wake-ups go on that have time: those that came meanwhile ask the database together.
	gatherEvery = 200 * time.Millisecond
	// gatherUntil is how long before its time a post no longer waits for others.
	gatherUntil = 300 * time.Millisecond
)

// untilGathered is how long a wake-up waits for others. One that came before had its reason to come again when it does.
func untilGathered(d bus.Delivery, now time.Time) time.Duration {
	if d.Deliveries > 1 || d.Due.Sub(now) < gatherUntil+gatherEvery {
		return 0
	}
	return now.Truncate(gatherEvery).Add(gatherEvery).Sub(now)
}

// work does the one thing that the post's state calls for. What asks Threads ahead of a publish call, or after it, needs a
// place: together those places are fewer than the messages that a process has in hand, so there is always one for a post
// that is ready.
func (w *waker) work(ctx context.Context, p *posts.Post) (end, error) {
	if p.Recalled && posts.IsOpen(p.State) {
		return w.waits.recall(ctx, p)
	}
	if p.Doubt && posts.IsOpen(p.State) && p.Attempt == 0 {
		return moved, w.waits.notCalled(ctx, p)
	}
	if p.State == events.StateScheduled && p.Kind != events.KindRepost { // a repost has nothing to prepare
		if wait := w.pacer.Wait(p, w.now()); wait > 0 {
			return w.snoozes.forPlace(ctx, p, wait)
		}
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
		return w.concluder.finishOutcome(ctx, p, access{})
	case events.StatePublished, events.StateFailed:
		return moved, w.afterEnd(ctx, p)
	}
	return 0, fmt.Errorf("post %s is %s and yet has a time to be woken", p.ID, p.State)
}

// placesFor is the limiter of what the post's state calls for, and on whose account.
func (w *waker) placesFor(p *posts.Post) (places *limiter.Limiter, whose string) {
	switch p.State {
	case events.StateScheduled:
		return w.creations, whoseCreations(p)
	case events.StatePublishing, events.StateUnconfirmed, events.StatePublished, events.StateFailed:
		return w.questions, p.AccountID
	}
	return nil, ""
}

// whoseCreations is on whose account containers are made: how long a picture takes is not Threads' doing, so posts with media have
// places of their own beside the account's others. With the first part of a chain the later ones are tried.
func whoseCreations(p *posts.Post) string {
	withMedia := func(part events.Part) bool { return len(part.Media) > 0 }
	if _, media := p.Content(); len(media) > 0 || p.CurrentPart() == 0 && slices.ContainsFunc(p.Parts, withMedia) {
		return p.AccountID + " media"
	}
	return p.AccountID
}

// afterEnd does what is left to be done for a post that has ended.
func (w *waker) afterEnd(ctx context.Context, old *posts.Post) error {
	if old.Fact == events.FactUpdated {
		if err := w.outbox.republish(ctx, old); err != nil {
			return err
		}
	}
	if !old.DeleteRequestedAt.IsZero() && old.DeletedAt.IsZero() {
		return w.deleter.delete(ctx, old)
	}
	if len(posts.WithoutPermalink(old)) == 0 || old.Failures >= posts.PermalinkLooks {
		return w.store.SnoozeEnded(ctx, old, time.Time{})
	}
	return w.permalinks.find(ctx, old)
}
