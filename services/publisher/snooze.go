package publisher

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
)

// snooze sees to it that a post is looked at again at a time that its row knows. A short wait is left to the message in
// hand, while those are few; any other gets an alarm.
func (s *Service) snooze(ctx context.Context, p *posts.Post, at time.Time) error {
	wait := at.Sub(s.now())
	switch {
	case wait > s.cfg.ArmHorizon:
		return nil // the sweep arms it as its time comes near
	case s.inHand.take(wait):
		return bus.Later(wait)
	}
	return s.bus.Arm(ctx, events.PostAlarm(p.ID), events.PostDue(p.ID), at, p.Rev)
}

// inHand counts the messages that wait at NATS to be delivered again. Each counts against the durable's MaxAckPending, for
// all processes together: 20,000 of them, and nobody is woken any more.
type inHand struct{ waiting atomic.Int64 }

// mostInHand is how many of a process may wait so.
const mostInHand = 1000

// take says whether one more message may wait so long. Up to tooNear it does: an alarm that is set so late hangs on the
// server's timer, which a step of the clock can stop for as long (reference nats.md §1.8).
func (h *inHand) take(wait time.Duration) bool {
	if !mayWaitInHand(wait, h.waiting.Load()) {
		return false
	}
	h.waiting.Add(1)
	time.AfterFunc(wait, func() { h.waiting.Add(-1) })
	return true
}

func mayWaitInHand(wait time.Duration, waiting int64) bool {
	return wait <= tooNear && waiting < mostInHand
}

// snoozeForPlace puts off a post that found no place. Nothing is held meanwhile.
func (s *Service) snoozeForPlace(ctx context.Context, p *posts.Post, again time.Duration) error {
	if again <= time.Second && s.inHand.take(again) {
		return bus.Later(again)
	}
	return s.delay(ctx, p, again)
}

// delay moves a post's wake-up and nothing else. It is written together with others: they come by the thousand.
func (s *Service) delay(ctx context.Context, p *posts.Post, wait time.Duration) error {
	at := s.now().Add(max(wait, 10*time.Millisecond))
	if err := s.delays.Do(ctx, posts.Delayed{Post: p, At: at}); err != nil {
		return err
	}
	if err := s.snooze(ctx, p, at); err != nil {
		return err
	}
	return errSnoozed
}

// errSnoozed says that a post is looked at again later, and nothing is to be done until then.
var errSnoozed = errors.New("the post is looked at again later")

// spaceOut has overdue posts of an account go out Spacing apart, the earliest first: each gets a time of its own, from the
// one on at which the next may go. Were they all to come back then, each would be claimed and refused again for every one
// that goes.
func (s *Service) spaceOut(ctx context.Context, p *posts.Post, from time.Time) error {
	if wait := from.Sub(s.now()); wait < s.cfg.Spacing/2 {
		return s.delay(ctx, p, wait) // its turn has come, but for the others' jitter
	}
	if err := s.spacings.Do(ctx, spacing{p.AccountID, from}); err != nil {
		return err
	}
	return posts.ErrLost // its row has another time now
}

type spacing struct {
	account string
	from    time.Time
}

// spaceOutBatch spaces each account once.
func (s *Service) spaceOutBatch(ctx context.Context, batch []spacing) []error {
	from := map[string]time.Time{}
	for _, b := range batch {
		from[b.account] = clock.Latest(from[b.account], b.from)
	}
	failed := map[string]error{}
	for account, at := range from {
		failed[account] = s.store.SpaceOut(ctx, s.db, account, at, s.now().Add(-s.cfg.LateAfter), s.cfg.Spacing)
	}
	errs := make([]error, len(batch))
	for i, b := range batch {
		errs[i] = failed[b.account]
	}
	return errs
}
