package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/posts"
)

// ledger sees to it that each command is done once.
type ledger struct {
	db     *bun.DB
	store  *posts.Store
	alarms *alarms
	outbox *outbox
	now    func() time.Time
}

// once runs do in a transaction that also notes the command and its outcome. A command that was noted before comes
// back as prior, and do is not run. do returns bus.Pending when the outcome is answered later. Where a worker was faster
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

// errConcluding says that the outcome of the post is being emitted at this moment. Whoever heard of it and acts on it at once
// comes a few milliseconds too early, and need not know.
var errConcluding = errors.New("the post is being settled at this moment")

const (
	concludingTries = 40
	concludingPause = 50 * time.Millisecond
)

// repeat answers a command that was noted before: its outcome again, and what may not have been emitted yet.
func (l *ledger) repeat(ctx context.Context, prior *commands.Command) (any, error) {
	o, done := prior.Done()
	if done && o.Fault != nil {
		return nil, o.Fault
	}
	p, err := l.store.Get(ctx, l.db, prior.PostID)
	if err == nil && !posts.IsFinal(p.State) {
		if err := l.alarms.arm(ctx, p); err != nil { // a crash may have come between emitting and arming
			return nil, err
		}
	}
	if err == nil && p.EmittedRev < p.Rev {
		if err := l.outbox.republish(ctx, p); err != nil {
			return nil, err
		}
	}
	if !done {
		return nil, bus.Pending
	}
	return o.Result, nil
}
