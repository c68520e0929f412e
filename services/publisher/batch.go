package publisher

import (
	"context"
	"sync"
	"time"
)

// batcher gathers what arrives while it is busy and works it off together: a single item is worked at once, a rush is
// worked in batches. It is what lets one transaction, and one sync of the disk, serve many posts.
type batcher[T any] struct {
	size   int
	atOnce int                                // batches in flight
	work   func(context.Context, []T) []error // one error for each item, in order

	mu      sync.Mutex
	waiting []*batched[T]
	working int
}

type batched[T any] struct {
	item T
	err  chan error
}

// batchTimeout bounds one batch: a database that hangs must not hold every post for ever.
const batchTimeout = 10 * time.Second

// do has an item worked, together with others. When ctx ends meanwhile, whether it was worked is not known.
func (b *batcher[T]) do(ctx context.Context, item T) error {
	one := &batched[T]{item: item, err: make(chan error, 1)}
	b.mu.Lock()
	b.waiting = append(b.waiting, one)
	if b.working < b.atOnce {
		b.working++
		go b.drain()
	}
	b.mu.Unlock()
	select {
	case err := <-one.err:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drain works until nothing waits.
func (b *batcher[T]) drain() {
	for {
		b.mu.Lock()
		taken := b.waiting[:min(len(b.waiting), b.size)]
		b.waiting = b.waiting[len(taken):]
		if len(taken) == 0 {
			b.working--
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		items := make([]T, len(taken))
		for i, t := range taken {
			items[i] = t.item
		}
		ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
		for i, err := range b.work(ctx, items) {
			taken[i].err <- err
		}
		cancel()
	}
}

// all is the same error for each of n items.
func all(n int, err error) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}
