package publisher

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/draft"
)

// SchedulePost accepts a post for later: row and command in one transaction, then its alarm, then the fact. A crash
// anywhere leaves the command unacked, and its redelivery does the rest: the command is the outbox.
func (c *accepter) SchedulePost(ctx context.Context, d bus.Delivery, cmd events.SchedulePost) (any, error) {
	asked := d.Meta.Time // when it was accepted over HTTP, not when we came to it: we may have been away
	return c.accept(ctx, d, cmd, request{cmd.PostID, cmd.UserID, cmd.Draft, cmd.PublishAt, draft.CheckTime(cmd.PublishAt, asked)}, true)
}

// PublishPost accepts a post for now. It takes the same way as every other; the outcome is told when it is known.
func (c *accepter) PublishPost(ctx context.Context, d bus.Delivery, cmd events.PublishPost) (any, error) {
	return c.accept(ctx, d, cmd, request{cmd.PostID, cmd.UserID, cmd.Draft, cmd.PublishAt, nil}, false)
}

// newPost is a post as it is accepted, with the alarm that it is to get.
func (c *accepter) newPost(id, userID, accountID string, d events.Draft, at time.Time) *posts.Post {
	p := c.drafts.NewPost(id, userID, accountID, d, at)
	c.alarms.willArm(p)
	return p
}

// CancelPost takes a post back before it is published. It wins or it says that it lost.
func (o *owners) CancelPost(ctx context.Context, d bus.Delivery, cmd events.CancelPost) (any, error) {
	return o.move(ctx, d, cmd, cmd.UserID, cmd.PostID, cmd.IfRev, stillOpen, func(_ context.Context, _ bun.Tx, old *posts.Post) (*posts.Post, error) {
		return old.Cancel(nil), nil
	})
}

// flushOutboxOf tells what a crash has left untold of a post, before its owner's next move takes its place.
func (o *outbox) flushOf(ctx context.Context, userID, id string) error {
	p, err := o.store.Find(ctx, o.db, userID, id)
	if err != nil {
		return nil //nolint:nilerr // the move itself says so
	}
	return o.flush(ctx, p)
}

// ledger sees to it that each command is done once.
type ledger struct {
	db     *bun.DB
	store  *posts.Store
	alarms *alarms
	outbox *outbox
	now    func() time.Time
}

// once runs do in a transaction that also notes the command and its outcome. A command that was noted before comes
// back as prior, and do is not run. do returns bus.Pending when the outcome is told later. Where a worker was faster
// (posts.ErrLost), do is run again: it reads what has become of the post, and says so.
func (l *ledger) once(ctx context.Context, d bus.Delivery, cmd events.Command, postID string,
	do func(context.Context, bun.Tx) (any, error)) (*commands.Command, error) {
	once := func() (*commands.Command, error) {
		return commands.Once(ctx, l.db, commands.New(d.Meta, cmd, postID), l.now, do)
	}
	prior, err := once()
	for n := 0; n < concludingTries && errors.Is(err, errConcluding) && clock.Sleep(ctx, concludingPause); n++ {
		prior, err = once()
	}
	if errors.Is(err, posts.ErrLost) {
		return once()
	}
	return prior, err
}

// errConcluding says that the outcome of the post is being told at this moment. Whoever heard of it and acts on it at once
// comes a few milliseconds too early, and need not know.
var errConcluding = errors.New("the post is being settled at this moment")

const (
	concludingTries = 40
	concludingPause = 50 * time.Millisecond
)

// repeat answers a command that was noted before: its outcome again, and what may not have been told yet.
func (l *ledger) repeat(ctx context.Context, prior *commands.Command) (any, error) {
	o, done := prior.Done()
	if done && o.Fault != nil {
		return nil, o.Fault
	}
	p, err := l.store.Get(ctx, l.db, prior.PostID)
	if err == nil && !posts.IsFinal(p.State) {
		if err := l.alarms.arm(ctx, p); err != nil { // a crash may have come between telling and arming
			return nil, err
		}
	}
	if err == nil && p.ToldRev < p.Rev {
		if err := l.outbox.republish(ctx, p); err != nil {
			return nil, err
		}
	}
	if !done {
		return nil, bus.Pending
	}
	return o.Result, nil
}

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
	if !p.WakeAt.IsZero() && p.WakeAt.Before(a.now().Add(a.cfg.ArmHorizon)) {
		p.ArmedAt = p.WakeAt
	}
}

// armAndEmit sets the alarm and tells the fact, side by side.
func (m *moves) armAndEmit(ctx context.Context, p *posts.Post) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.alarms.arm(ctx, p) })
	if p.ToldRev < p.Rev { // a post that a command found already there may be told
		g.Go(func() error { return m.outbox.emitChange(ctx, p) })
	}
	return g.Wait()
}

// arm sets the alarm that willArm promised. What is due now is woken now: an alarm would take a quarter of a second.
func (a *alarms) arm(ctx context.Context, p *posts.Post) error {
	switch wait := p.WakeAt.Sub(a.now()); {
	case p.WakeAt.IsZero() || p.ArmedAt.IsZero():
		return nil
	case wait <= 0:
		return a.bus.Wake(ctx, events.PostDue(p.ID))
	default:
		return a.bus.Arm(ctx, events.PostAlarm(p.ID), events.PostDue(p.ID), p.WakeAt, p.Rev)
	}
}
