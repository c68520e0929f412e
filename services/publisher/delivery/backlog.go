package delivery

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/panics"
)

// backlog are posts whose answer was saved in a rush, and is emitted when that is over: what Threads is asked, written and emitted for them
// meanwhile would make others late. Nothing but their ids is kept. Their rows say the same, so what a process leaves behind when it dies
// is found by the sweep.
type backlog struct {
	mu     sync.Mutex
	ids    []string
	closed bool
	added  chan struct{} // has room for one
}

// maxBacklog is how many posts may wait so; the next one does not.
const maxBacklog = 50_000

func newBacklog() *backlog { return &backlog{added: make(chan struct{}, 1)} }

// add says whether the post waits.
func (b *backlog) add(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.ids) >= maxBacklog {
		return false
	}
	b.ids = append(b.ids, id)
	select {
	case b.added <- struct{}{}:
	default:
	}
	return true
}

func (b *backlog) take() (ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids, b.ids = b.ids, nil
	return ids
}

func (b *backlog) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// WorkOffBacklog emits the answers that were saved in a rush, until ctx ends and none is left.
func (w *waker) WorkOffBacklog(ctx context.Context) error {
	c := w.concluder
	for ctx.Err() == nil {
		select {
		case <-c.backlog.added:
			w.conclude(ctx, c.backlog.take())
		case <-ctx.Done():
		}
	}
	c.backlog.close()
	w.conclude(ctx, c.backlog.take())
	return nil
}

// conclude emits what has become of posts. A post that waits for its permalink holds up no other.
func (w *waker) conclude(ctx context.Context, ids []string) {
	c, stopped := w.concluder, ctx
	ctx = context.WithoutCancel(ctx)
	until := c.now().Add(c.cfg.Lease / 3)
	var g errgroup.Group
	g.SetLimit(c.cfg.Wakes())
	for _, id := range ids {
		c.calls.afterRush(stopped, until.Sub(c.now()))
		g.Go(func() error { return w.concludeOne(ctx, id) })
	}
	_ = g.Wait() // each has said so itself
}

func (w *waker) concludeOne(ctx context.Context, id string) (err error) {
	defer func() {
		if err != nil {
			w.concluder.log.Warn("an outcome is not emitted yet; the sweep does it", postField(id), errField(err))
		}
	}()
	defer panics.ToError(&err)
	p, err := batch.Fetch(ctx, w.postReads, id)
	if err != nil || p.State != events.StateConcluding {
		return err
	}
	_, err = w.concluder.finishOutcome(ctx, p)
	return err
}
