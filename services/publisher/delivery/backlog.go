package delivery

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/panics"
)

// WorkOffBacklog emits the answers that were saved in a rush, until ctx ends and none is left.
func (w *waker) WorkOffBacklog(ctx context.Context) error {
	c := w.concluder
	var g errgroup.Group
	g.SetLimit(c.cfg.Wakes())
	for ctx.Err() == nil {
		select {
		case <-c.backlog.Added:
			w.concludeAll(ctx, &g, c.backlog.Take())
		case <-ctx.Done():
		}
	}
	c.backlog.Close()
	w.concludeAll(ctx, &g, c.backlog.Take())
	_ = g.Wait() // each has said so itself
	return nil
}

// concludeAll emits what has become of posts, after the rush. A post that waits for its permalink holds up no other.
func (w *waker) concludeAll(ctx context.Context, g *errgroup.Group, ids []string) {
	c := w.concluder
	until := c.now().Add(c.cfg.Lease / 3)
	for _, id := range ids {
		c.calls.AfterRush(ctx, until.Sub(c.now()))
		g.Go(func() error { return w.concludeOne(context.WithoutCancel(ctx), id) })
	}
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
	_, err = w.concluder.finishOutcome(ctx, p, access{})
	return err
}
