package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/outage"
	"github.com/omni-write/threads/internal/panics"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/projector"
)

const (
	// sweepBatch bounds one round; what is left over comes in the next, at once.
	sweepBatch = 500
	// sweepAtOnce is how many posts of a batch are put right side by side, passWithin how long a batch may take.
	sweepAtOnce = 8
	passWithin  = 30 * time.Second
)

// sweeper finds what was left undone.
type sweeper struct {
	cfg       Config
	bus       *bus.Bus
	db        *bun.DB
	store     *posts.Store
	projector *projector.Projector
	outbox    *outbox
	retention *retention
	// What the passes could not put right.
	unwoken, unarmed, unmarked, notEmitted putOff
	log                                    *zap.Logger
	now                                    func() time.Time
}

// Sweep is the net under the alarms: whatever lost a post's wake-up (a wiped stream, a stuck schedule, a crash between
// row and alarm), the row still says when, and the sweep reads it. It runs every SweepEvery and at start. Waking has rounds
// of its own: the other passes wait for answers of JetStream, and while those do not come, posts that are due must not wait.
func (w *sweeper) Sweep(ctx context.Context) error {
	var g errgroup.Group
	others := make(chan struct{}, 1)
	g.Go(func() error { return w.sweepEach(ctx, w.projector.AccountChanges(), others, w.wakeOverdue) })
	g.Go(func() error {
		return w.sweepEach(ctx, others, nil, w.retention.forgetOldUses, w.armUnarmed, w.markDeletedRemotely, w.republishMissing, w.retention.forgetCommands, w.retention.forgetAttempts)
	})
	return g.Wait()
}

// sweepPass puts right something of its own, and says how many posts it found.
type sweepPass func(context.Context) (int, error)

// sweepEach makes passes until ctx ends. A nudge begins a round early, and is handed on.
func (w *sweeper) sweepEach(ctx context.Context, nudge <-chan struct{}, onwards chan<- struct{}, passes ...sweepPass) error {
	for {
		if w.projector.IsCurrent() {
			if err := eachPass(ctx, passes...); err != nil && ctx.Err() == nil {
				w.log.Warn("sweep cut short", errField(err))
			}
			select {
			case <-time.After(w.cfg.SweepEvery):
			case <-nudge:
				select {
				case onwards <- struct{}{}:
				default: // nudged already, or the last
				}
			case <-ctx.Done():
				return nil
			}
		} else if !clock.Sleep(ctx, 20*time.Millisecond) {
			return nil
		}
	}
}

// sweepOnce makes every pass.
func (w *sweeper) sweepOnce(ctx context.Context) error {
	return eachPass(ctx, w.retention.forgetOldUses, w.wakeOverdue, w.armUnarmed, w.markDeletedRemotely, w.republishMissing, w.retention.forgetCommands, w.retention.forgetAttempts)
}

// eachPass makes passes, each until it finds no more. One that fails stops no other.
func eachPass(ctx context.Context, passes ...sweepPass) error {
	var failed []error
	for _, pass := range passes {
		for {
			n, err := pass(ctx)
			failed = append(failed, err)
			if err != nil || n < sweepBatch {
				break
			}
		}
	}
	return errors.Join(failed...)
}

// eachOf puts right the posts of a batch, some of them at the same time. One that cannot be put right is logged, left out
// of the next batches, and stops no other. It fails when there was no time for some, or when none could be put right:
// then it is probably not they that are wrong.
func (w *sweeper) eachOf(ctx context.Context, pass string, left *putOff, ids []string, right func(context.Context, int) error) error {
	ctx, cancel := context.WithTimeout(ctx, passWithin)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(sweepAtOnce)
	var failures atomic.Int64
	var last atomic.Pointer[error]
	for i, id := range ids {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			err := func() (err error) {
				defer panics.ToError(&err)
				return right(ctx, i)
			}()
			if err == nil {
				left.done(id)
				return nil
			}
			failures.Add(1)
			last.Store(&err)
			sweepFailures.WithLabelValues(pass).Inc()
			w.log.Warn("the sweep could not put a post right; it goes on with the others", zap.String("pass", pass), postField(id), errField(err))
			if !outage.Is(err) {
				left.put(id, w.now(), w.cfg.SweepEvery)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("%s: there was no time for all: %w", pass, err)
	}
	if n := int(failures.Load()); n > 0 && n == len(ids) {
		return fmt.Errorf("%s: none of %d could be put right: %w", pass, n, *last.Load())
	}
	return nil
}

// wakeOverdue wakes posts whose time has passed and on which nobody works. They are not armed again: a wake-up straight
// to the due subject survives what an alarm does not (reference nats.md §1.7, §1.8).
func (w *sweeper) wakeOverdue(ctx context.Context) (int, error) {
	now := w.now()
	ids, err := w.store.MarkOverdue(ctx, posts.Due{Now: now, Grace: w.cfg.SweepGrace, Except: w.unwoken.ids(now), Most: sweepBatch}, w.cfg.SweepEvery)
	if err != nil {
		return 0, fmt.Errorf("wake overdue posts: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	crash.At(crash.SweepFound)
	err = w.eachOf(ctx, "wake", &w.unwoken, ids, func(ctx context.Context, i int) error {
		return w.bus.Wake(ctx, events.PostDue(ids[i]), time.Time{})
	})
	crash.At(crash.SweepWoken)
	sweepRepairs.WithLabelValues("woken").Add(float64(len(ids)))
	w.log.Warn("sweep woke overdue posts", zap.Int("posts", len(ids)))
	return len(ids), err
}

// armUnarmed sets the alarms of posts whose time has come within the horizon, or that changed their time without one.
func (w *sweeper) armUnarmed(ctx context.Context) (int, error) {
	now := w.now()
	list, err := w.store.Unarmed(ctx, posts.Due{Now: now, Grace: w.cfg.SweepGrace, Except: w.unarmed.ids(now), Most: sweepBatch}, w.cfg.ArmHorizon)
	if err != nil {
		return 0, err
	}
	return len(list), w.eachOf(ctx, "arm", &w.unarmed, idsOfPosts(list), func(ctx context.Context, i int) (err error) {
		p := &list[i]
		if p.WakeAt.Sub(w.now()) < tooNear {
			err = w.bus.Wake(ctx, events.PostDue(p.ID), p.PublishAt)
		} else {
			err = w.bus.Arm(ctx, events.PostAlarm(p.ID), events.PostDue(p.ID), p.WakeAt, p.Rev, p.PublishAt)
		}
		if err != nil {
			return err
		}
		if err := w.store.MarkArmed(ctx, p); err != nil {
			return err
		}
		sweepArmed.Inc()
		return nil
	})
}

// republishBatch is how many whole posts the sweep holds at once.
const republishBatch = 64

// republishMissing emits changes that a crash had kept from it, and marks them as emitted: while nobody projects, nobody else
// does. That costs a post nothing on its way, and one statement here.
func (w *sweeper) republishMissing(ctx context.Context) (int, error) {
	for {
		now := w.now()
		list, err := w.store.NotEmitted(ctx, posts.Due{Now: now, Grace: republishAfter, Except: w.notEmitted.ids(now), Most: republishBatch})
		if err != nil {
			return 0, err
		}
		var mu sync.Mutex
		var done []events.PostEvent
		err = w.eachOf(ctx, "tell", &w.notEmitted, idsOfPosts(list), func(ctx context.Context, i int) error {
			p := &list[i]
			if err := w.outbox.republish(ctx, p); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			done = append(done, events.NewPostEvent(p.Fact, p.Snapshot()))
			return nil
		})
		if marking := w.projector.MarkEmitted(ctx, done); marking != nil {
			return 0, errors.Join(err, marking)
		}
		sweepRepairs.WithLabelValues("told").Add(float64(len(done)))
		if err != nil || len(list) < republishBatch {
			return 0, err
		}
	}
}

func idsOfPosts(list []posts.Post) []string {
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	return ids
}

// markDeletedRemotely marks the rows that have learned their media id since Threads told that the post is deleted.
func (w *sweeper) markDeletedRemotely(ctx context.Context) (int, error) {
	if err := w.store.ForgetRemoteDeletions(ctx, w.db, w.now()); err != nil {
		return 0, err
	}
	found, err := w.store.UnmarkedRemoteDeletions(ctx, w.db, w.unmarked.ids(w.now()), sweepBatch)
	if err != nil {
		return 0, err
	}
	ids := make([]string, len(found))
	for i, d := range found {
		ids[i] = d.MediaID
	}
	return 0, w.eachOf(ctx, "gone", &w.unmarked, ids, func(ctx context.Context, i int) error {
		err := pg.InTx(ctx, w.db, func(ctx context.Context, tx bun.Tx) error {
			return posts.MarkDeletedRemotely(ctx, tx, found[i])
		})
		if err == nil {
			sweepRepairs.WithLabelValues("gone").Inc()
		}
		return err
	}) // one pass is enough: what is leased now is found in the next
}
