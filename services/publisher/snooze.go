package publisher

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
)

// snooze sees to it that a post is looked at again at a time that its row knows. A short wait is left to the message in
// hand, while those are few; any other gets an alarm.
func (a *alarms) snooze(ctx context.Context, p *posts.Post, at time.Time) error {
	wait := at.Sub(a.now())
	switch {
	case wait > a.cfg.ArmHorizon:
		return nil // the sweep arms it as its time comes near
	case a.inHand.take(wait):
		return bus.Later(wait)
	}
	return a.bus.Arm(ctx, events.PostAlarm(p.ID), events.PostDue(p.ID), at, p.Rev)
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

// snoozes move the wake-ups of posts that found no place, or whose turn has not come.
type snoozes struct {
	cfg      Config
	db       *bun.DB
	store    *posts.Store
	alarms   *alarms
	delays   *batch.Batcher[posts.Delayed]
	spacings *batch.Batcher[spacing]
	now      func() time.Time
}

// snoozeForPlace puts off a post that found no place. Nothing is held meanwhile.
func (z *snoozes) forPlace(ctx context.Context, p *posts.Post, again time.Duration) error {
	if again <= time.Second && z.alarms.inHand.take(again) {
		return bus.Later(again)
	}
	return z.delay(ctx, p, again)
}

// delay moves a post's wake-up and nothing else. It is written together with others: they come by the thousand.
func (z *snoozes) delay(ctx context.Context, p *posts.Post, wait time.Duration) error {
	at := z.now().Add(max(wait, 10*time.Millisecond))
	if err := z.delays.Do(ctx, posts.Delayed{Post: p, At: at}); err != nil {
		return err
	}
	if err := z.alarms.snooze(ctx, p, at); err != nil {
		return err
	}
	return errSnoozed
}

// errSnoozed says that a post is looked at again later, and nothing is to be done until then.
var errSnoozed = errors.New("the post is looked at again later")

// spaceOut has overdue posts of an account go out Spacing apart, the earliest first: each gets a time of its own, from the
// one on at which the next may go. Were they all to come back then, each would be claimed and refused again for every one
// that goes.
func (z *snoozes) spaceOut(ctx context.Context, p *posts.Post, from time.Time) error {
	if wait := from.Sub(z.now()); wait < z.cfg.Spacing/2 {
		return z.delay(ctx, p, wait) // its turn has come, but for the others' jitter
	}
	if err := z.spacings.Do(ctx, spacing{p.AccountID, from}); err != nil {
		return err
	}
	return posts.ErrLost // its row has another time now
}

type spacing struct {
	account string
	from    time.Time
}

// spaceOutBatch spaces each account once.
func (z *snoozes) spaceOutBatch(ctx context.Context, batch []spacing) []error {
	from := map[string]time.Time{}
	for _, b := range batch {
		from[b.account] = clock.Latest(from[b.account], b.from)
	}
	failed := map[string]error{}
	for account, at := range from {
		failed[account] = z.store.SpaceOut(ctx, z.db, account, at, z.now().Add(-z.cfg.LateAfter), z.cfg.Spacing)
	}
	errs := make([]error, len(batch))
	for i, b := range batch {
		errs[i] = failed[b.account]
	}
	return errs
}
