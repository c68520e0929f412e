package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/posts"
)

// leases keep a post one worker's while it works.
type leases struct {
	cfg   Config
	store *posts.Store
	taken *batch.Batcher[posts.LeaseWanted]
	now   func() time.Time
}

// acquire takes the lease of a post, together with those of others.
func (l *leases) acquire(ctx context.Context, p *posts.Post) error {
	w := l.store.Lease(p, l.now())
	err := l.taken.Do(ctx, w)
	if errors.Is(err, batch.ErrAlone) {
		err = l.store.AcquireLease(ctx, w)
	}
	return w.Done(err)
}

// keep renews the lease while a call is in flight. The returned function stops it and says whether the lease was
// ours to the end.
func (l *leases) keep(ctx context.Context, p *posts.Post) (stop func() bool) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan bool, 1)
	go func() {
		held := true
		tick := time.NewTicker(l.cfg.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				done <- held
				return
			case <-tick.C:
				if err := l.store.RenewLease(ctx, p); errors.Is(err, posts.ErrLost) {
					held = false
				}
			}
		}
	}()
	return func() bool { cancel(); return <-done }
}
