package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/limiter"
	"github.com/omni-write/threads/internal/posts"
)

// maxSteps bounds how many states one wake-up walks through: prepare, publish and conclude are three.
const maxSteps = 12

// Wake looks at a post and does what its row says is due. A wake-up that is early, doubled, stale or about a post that
// is gone changes nothing.
func (s *Service) Wake(ctx context.Context, _ bus.Delivery, id string) error {
	if !s.projector.IsCurrent() {
		return bus.Later(time.Second)
	}
	for step := range maxSteps {
		p, err := batch.Fetch(ctx, s.postReads, id)
		if err != nil {
			return err
		}
		if p.ID == "" {
			return nil // there is no such post
		}
		if step == 0 {
			bus.Link(ctx, p.TraceParent)
		}
		if err := s.flushOldOutbox(ctx, p); err != nil {
			return err
		}
		if before, ok := s.store.Unacknowledged.Claimed(p); ok {
			if err := s.releaseUnacknowledged(ctx, before, p); err != nil {
				return err
			}
			continue
		}
		if p.WakeAt.IsZero() {
			return nil
		}
		if p.WakeAt.After(s.now()) {
			return s.snooze(ctx, p, p.WakeAt)
		}
		if p.Lease != "" && p.LeaseUntil.After(s.now()) && !s.store.Unacknowledged.Has(p) {
			// Somebody works on it. Not for the rest of the lease: this wake-up may have replaced their own message.
			return s.snooze(ctx, p, s.now().Add(min(p.LeaseUntil.Sub(s.now()), time.Second)))
		}
		err = s.work(ctx, p)
		if err == nil || errors.Is(err, errDone) {
			s.monitor.Moved()
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
func (s *Service) work(ctx context.Context, p *posts.Post) error {
	if p.Recalled && posts.IsOpen(p.State) {
		return s.recall(ctx, p)
	}
	if p.Doubt && posts.IsOpen(p.State) && p.Attempt == 0 {
		return s.notCalled(ctx, p)
	}
	if places, whose := s.placesFor(p); places != nil {
		release, again := places.Hold(p.UserID, whose, s.now)
		if release == nil {
			return s.snoozeForPlace(ctx, p, again)
		}
		defer release()
	}
	switch p.State {
	case events.StateScheduled:
		return s.prepare(ctx, p)
	case events.StateReady:
		return s.publish(ctx, p)
	case events.StateWaiting:
		return s.resume(ctx, p)
	case events.StatePublishing, events.StateUnconfirmed:
		// Publishing with a lapsed lease: whoever called is gone, or cut off. That permits asking, never calling.
		return s.confirm(ctx, p)
	case events.StateConcluding:
		return s.finishOutcome(ctx, p)
	case events.StatePublished, events.StateFailed:
		return s.afterEnd(ctx, p)
	}
	return fmt.Errorf("post %s is %s and yet has a time to be woken", p.ID, p.State)
}

// placesFor is the limiter of what the post's state calls for, and on whose account: how long a picture takes is not
// Threads' doing, so posts with media have places of their own beside the account's others.
func (s *Service) placesFor(p *posts.Post) (places *limiter.Limiter, whose string) {
	switch p.State {
	case events.StateScheduled:
		if _, media := p.Content(); len(media) > 0 {
			return s.creations, p.AccountID + " media"
		}
		return s.creations, p.AccountID
	case events.StatePublishing, events.StateUnconfirmed, events.StatePublished, events.StateFailed:
		return s.questions, p.AccountID
	}
	return nil, ""
}

// flushOldOutbox tells a change whose telling was cut short. A change of the last seconds is left alone: whoever made it is
// telling it, or the projector has not come to it yet.
func (s *Service) flushOldOutbox(ctx context.Context, p *posts.Post) error {
	if p.ToldRev >= p.Rev || s.now().Sub(p.UpdatedAt) < republishAfter {
		return nil
	}
	return s.republish(ctx, p)
}

// republishAfter is how old an untold change must be before another worker tells it.
const republishAfter = 10 * time.Second

// resume takes a waiting post up again, where its container allows.
func (s *Service) resume(ctx context.Context, old *posts.Post) error {
	if s.now().After(old.Expires()) {
		return s.missed(ctx, old)
	}
	if old.Doubt { // of a release before this one: a post in doubt waits as unconfirmed
		return s.unconfirmed(ctx, old, posts.AbsentRetry, unclearAnswer())
	}
	if a, paused, err := s.stillPaused(ctx, old); err != nil || paused {
		if err != nil {
			return err
		}
		return s.paused(ctx, old, a)
	}
	return s.step(ctx, old, old.Resume(s.now()), "")
}

// postpone lets a post wait, with a reason that its owner can read. It is told when the reason is news.
func (s *Service) postpone(ctx context.Context, old *posts.Post, reason *events.Fault, until time.Time, tried ...events.Attempt) error {
	return s.postponeFrom(ctx, old, old, reason, until, tried...)
}

// postponeFrom is postpone for a post of which more is known than its row says: base.
func (s *Service) postponeFrom(ctx context.Context, old, base *posts.Post, reason *events.Fault, until time.Time, tried ...events.Attempt) error {
	next, fact := base.Postpone(reason, until)
	if next.State == events.StateUnconfirmed {
		return s.saveUnconfirmed(ctx, old, next, fact, tried...)
	}
	return s.step(ctx, old, next, fact, tried...)
}

// missed gives up a post whose time has passed by too much. One that may be live is looked for before.
func (s *Service) missed(ctx context.Context, old *posts.Post) error {
	if old.Doubt {
		return s.unconfirmed(ctx, old, posts.AbsentFail, overdue(old))
	}
	return s.fail(ctx, old, overdue(old))
}

func overdue(p *posts.Post) *events.Fault {
	why := ""
	if p.Reason != nil {
		why = " " + p.Reason.Message
	}
	return events.Faultf(events.Missed,
		"This post could not go out within the time allowed after its hour.%s Schedule it again if it still matters.", why)
}
