package delivery

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/posts"
)

// alarms see to it that posts are looked at again.
type alarms struct {
	cfg    Config
	bus    *bus.Bus
	inHand inHand
	now    func() time.Time
}

// willArm notes that the post's alarm will be set, if it is near enough to have one. The setting itself comes after
// the transaction; a crash in between is mended by the redelivery.
func (a *alarms) willArm(p *posts.Post) {
	p.ArmedAt = time.Time{}
	if now := a.now(); !p.WakeAt.IsZero() && p.WakeAt.Before(now) {
		p.WakeAt = now // or the sweep took it for forgotten
	}
	if !p.WakeAt.IsZero() && p.WakeAt.Before(a.now().Add(a.cfg.ArmHorizon)) {
		p.ArmedAt = p.WakeAt
	}
}

// arm sets the alarm that willArm promised. What is due now is woken now: an alarm would take a quarter of a second.
func (a *alarms) arm(ctx context.Context, p *posts.Post) error {
	switch wait := p.WakeAt.Sub(a.now()); {
	case p.WakeAt.IsZero() || p.ArmedAt.IsZero():
		return nil
	case wait <= 0:
		return a.bus.Wake(ctx, events.PostDue(p.ID), p.PublishAt)
	default:
		return a.bus.Arm(ctx, events.PostAlarm(p.ID), events.PostDue(p.ID), p.WakeAt, p.Rev, p.PublishAt)
	}
}

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
	return a.bus.Arm(ctx, events.PostAlarm(p.ID), events.PostDue(p.ID), at, p.Rev, p.PublishAt)
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

// tooNear is the time within which an alarm is no longer set: the post is woken instead, and waits in hand.
const tooNear = 15 * time.Second
