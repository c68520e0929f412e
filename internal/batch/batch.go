// Package batch works together what arrives at the same time.
package batch

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/omni-write/threads/internal/panics"
	"github.com/omni-write/threads/internal/pg"
)

// Batcher gathers what arrives while it is busy and works it off together: a single item is worked at once, a rush is
// worked in batches. It is what lets one transaction, and one sync of the disk, serve many posts.
//
// A batch that fails as a whole is split, down to its single items, and the parts go behind what waits already: an item that
// cannot be worked costs only itself. It is split only where surely nothing was done and others may fare better; when
// Postgres is away, or nobody knows whether the transaction was committed, each hears so and asks again by its own means.
type Batcher[T any] struct {
	Size   int
	AtOnce int                                // batches in flight
	Work   func(context.Context, []T) []error // one error for each item, in order; or all

	mu      sync.Mutex
	waiting []*batched[T]
	parts   [][]*batched[T] // of batches that failed
	working int
}

type batched[T any] struct {
	item T
	err  chan error
}

// Timeout bounds one batch: a database that hangs must not hold every post for ever.
const Timeout = 10 * time.Second

// Do has an item worked, together with others. One that still waits when ctx ends is taken back; whether one was worked that is
// in a batch by then is not known.
func (b *Batcher[T]) Do(ctx context.Context, item T) error {
	one, err := b.add(ctx, item)
	if err != nil {
		return err
	}
	select {
	case err := <-one.err:
		return err
	case <-ctx.Done():
		b.takeBack(one)
		return ctx.Err()
	}
}

// Settle is Do for what nobody but its caller can go on with: of one that is in a batch when ctx ends, the end is waited for.
func (b *Batcher[T]) Settle(ctx context.Context, item T) error {
	one, err := b.add(ctx, item)
	if err != nil {
		return err
	}
	select {
	case err := <-one.err:
		return err
	case <-ctx.Done():
		if b.takeBack(one) {
			return ctx.Err()
		}
		return <-one.err
	}
}

func (b *Batcher[T]) add(ctx context.Context, item T) (*batched[T], error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	one := &batched[T]{item: item, err: make(chan error, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, one)
	if b.working < b.AtOnce {
		b.working++
		go b.drain()
	}
	return one, nil
}

// takeBack says whether an item was in no batch yet: then it is not worked.
func (b *Batcher[T]) takeBack(one *batched[T]) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.waiting, one)
	if i < 0 {
		return false
	}
	b.waiting = slices.Delete(b.waiting, i, i+1)
	return true
}

// drain works until nothing waits. First it lets go those that can ask at this very moment: who are woken together are worked together,
// and none of them alone before the others.
func (b *Batcher[T]) drain() {
	runtime.Gosched()
	for turn := 0; ; turn++ {
		taken := b.take(turn%2 == 1)
		if taken == nil {
			return
		}
		items := make([]T, len(taken))
		for i, t := range taken {
			items[i] = t.item
		}
		errs := b.try(items)
		if len(taken) > 1 && splits(errs) {
			b.split(taken)
			continue
		}
		for i, err := range errs {
			taken[i].err <- err
		}
	}
}

// try works a batch. A panic is an error of each item: what was done by then nobody knows, so the batch is not split.
func (b *Batcher[T]) try(items []T) []error {
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	errs, err := func() (errs []error, err error) {
		defer panics.ToError(&err)
		return b.Work(ctx, items), nil
	}()
	if err != nil {
		return slices.Repeat([]error{err}, len(items))
	}
	return errs
}

// take is the next batch, nil when nothing waits: then the worker is gone. What arrived and what was split take turns.
func (b *Batcher[T]) take(part bool) (taken []*batched[T]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case len(b.parts) > 0 && (part || len(b.waiting) == 0):
		taken, b.parts = b.parts[0], b.parts[1:]
	case len(b.waiting) > 0:
		n := min(len(b.waiting), b.Size)
		taken, b.waiting = b.waiting[:n:n], b.waiting[n:]
	default:
		b.working--
	}
	return taken
}

func (b *Batcher[T]) split(taken []*batched[T]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	half := len(taken) / 2
	b.parts = append(b.parts, taken[:half], taken[half:])
}

// ErrAlone says that an item cannot be worked together with others: its row has moved, or somebody else holds it, and the
// others must not wait for that. Whoever has the item works it by itself.
var ErrAlone = errors.New("this needs a transaction of its own")

// wholeError is why a batch failed as a whole.
type wholeError struct{ error }

func (e wholeError) Unwrap() error { return e.error }

// All is the error of a batch that failed as a whole, for each of its n items; none where err is nil.
func All(n int, err error) []error {
	errs := make([]error, n)
	for i := range errs {
		if err != nil {
			errs[i] = wholeError{err}
		}
	}
	return errs
}

// splits says whether a batch failed as a whole so that its parts may be worked again.
func splits(errs []error) bool {
	whole, failed := errs[0].(wholeError) //nolint:errorlint // All makes it, and nobody wraps it
	return failed && pg.Refused(whole.error)
}
