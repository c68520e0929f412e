package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
)

// moves save what a worker makes of a post, and emit it.
type moves struct {
	db     *bun.DB
	store  *posts.Store
	alarms *alarms
	outbox *outbox
	steps  *batch.Batcher[posts.Step]
	log    *zap.Logger
	now    func() time.Time
}

// save saves one move of a worker: raises rev when the move is emitted, and emits it.
func (m *moves) save(ctx context.Context, old, next *posts.Post, fact events.PostFact, tried ...asks.Attempt) error {
	return m.saveAt(ctx, "", old, next, fact, tried...)
}

// saveAt is save, with the crash point between saving and emitting.
func (m *moves) saveAt(ctx context.Context, saved crash.Point, old, next *posts.Post, fact events.PostFact, tried ...asks.Attempt) error {
	next.UpdatedAt = m.now()
	// What Threads answered is saved before anything else: an older change that cannot be emitted must not stand before it.
	answer := len(tried) > 0
	if fact != "" {
		if !answer {
			if err := m.outbox.flush(ctx, old); err != nil {
				return err
			}
		}
		next.Rev, next.Fact = old.Rev+1, fact
	}
	m.alarms.willArm(next)
	if err := m.saveStep(ctx, posts.Step{Old: old, Next: next, Tried: tried}); err != nil {
		return err
	}
	crash.At(saved)
	if fact == "" {
		return nil
	}
	if answer {
		if err := m.outbox.flush(ctx, old); err != nil {
			return err
		}
	}
	return m.outbox.emitChange(ctx, next)
}

// saveStep writes a step into the row: a plain one together with those of other posts, anything else by itself.
func (m *moves) saveStep(ctx context.Context, step posts.Step) error {
	if step.Plain() {
		if err := m.steps.Do(ctx, step); !errors.Is(err, batch.ErrAlone) {
			return err
		}
	}
	return m.store.SaveStep(ctx, step.Old, step.Next, step.Tried...)
}

// Of a post that has ended more may become known: Threads shows its permalink late, or a part of a chain is gone. Each is a
// change that is emitted, post.updated. The row counts as emitted from its saving on, because a publisher of an older version does not
// know the event and could not emit it; that wake_at is set sees to the emitting.

// saveEnded saves what has become known of a post that has ended, and emits it.
func (m *moves) saveEnded(ctx context.Context, old, p *posts.Post, tried ...asks.Attempt) error {
	p.UpdatedAt, p.Rev, p.Fact = m.now(), old.Rev+1, events.FactUpdated
	p.EmittedRev = p.Rev
	err := pg.InTx(ctx, m.db, func(ctx context.Context, tx bun.Tx) error {
		if err := m.store.SaveEnded(ctx, tx, old, p); err != nil || len(tried) == 0 {
			return err
		}
		return m.store.AddAttempts(ctx, tx, p.ID, tried...)
	})
	if err != nil {
		return err
	}
	if err := m.outbox.flush(ctx, old); err != nil {
		m.log.Warn("a change is emitted only with the next one", postField(p.ID), errField(err))
	}
	return m.outbox.emitChange(ctx, p)
}

// discardContainer drops a container that is about to die, to build another.
func (m *moves) discardContainer(ctx context.Context, old *posts.Post) error {
	return m.save(ctx, old, old.BuildAnew(m.now()), "")
}

// armAndEmit sets the alarm and emits the event, side by side.
func (m *moves) armAndEmit(ctx context.Context, p *posts.Post) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.alarms.arm(ctx, p) })
	if p.EmittedRev < p.Rev { // a post that a command found already there may be emitted
		g.Go(func() error { return m.outbox.emitChange(ctx, p) })
	}
	return g.Wait()
}
