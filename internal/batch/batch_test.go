package batch

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
)

// Whoever gives up waiting for a row gets none: the batch still writes it.
func TestFetchGivenUp(t *testing.T) {
	t.Parallel()
	type row struct{ ID string }
	reading, write := make(chan struct{}), make(chan struct{})
	b := &Batcher[Read[row]]{Size: 1, AtOnce: 1, Work: func(_ context.Context, batch []Read[row]) []error {
		close(reading)
		<-write
		return Give(batch, map[string]row{"post_1": {ID: "post_1"}})
	}}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reading
		cancel()
	}()
	p, err := Fetch(ctx, b, "post_1")
	close(write)
	if p != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v", p, err)
	}
	b.Work = func(_ context.Context, batch []Read[row]) []error {
		return Give(batch, map[string]row{"post_1": {ID: "post_1"}})
	}
	if p, err := Fetch(t.Context(), b, "post_1"); err != nil || p.ID != "post_1" {
		t.Errorf("got %v, %v", p, err)
	}
}

// batches lets n items be worked in one batch, by a worker that is told each batch, and returns the error of each.
func batches(t *testing.T, n int, work func([]int) []error) (errs []error) {
	t.Helper()
	begun, go_ := make(chan struct{}), make(chan struct{})
	var first sync.Once
	b := &Batcher[int]{Size: n, AtOnce: 1, Work: func(_ context.Context, batch []int) []error {
		held := false
		first.Do(func() { held = true })
		if held { // until all others wait
			close(begun)
			<-go_
			return make([]error, len(batch))
		}
		return work(batch)
	}}
	var g errgroup.Group
	g.Go(func() error { return b.Do(t.Context(), -1) })
	<-begun
	errs = make([]error, n)
	for i := range n {
		one := &batched[int]{item: i, err: make(chan error, 1)}
		b.waiting = append(b.waiting, one) // nobody else is there: the worker is held
		g.Go(func() error { errs[i] = <-one.err; return nil })
	}
	close(go_)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return errs
}

// An item that fails its batch costs only itself: the others are worked, each once.
func TestBatchIsSplit(t *testing.T) {
	t.Parallel()
	bad := errors.New("this one cannot be")
	done := map[int]int{}
	errs := batches(t, 100, func(batch []int) []error {
		if slices.Contains(batch, 37) {
			return All(len(batch), fmt.Errorf("write: %w", bad))
		}
		for _, i := range batch {
			done[i]++
		}
		return make([]error, len(batch))
	})
	for i, err := range errs {
		if i == 37 && (!errors.Is(err, bad) || done[i] != 0) || i != 37 && (err != nil || done[i] != 1) {
			t.Errorf("item %d was worked %d times: %v", i, done[i], err)
		}
	}
}

// A batch of which nobody knows whether it was written is not written again; neither is one that had its time.
func TestBatchIsNotSplit(t *testing.T) {
	t.Parallel()
	n := 0
	errs := batches(t, 100, func(batch []int) []error {
		n++
		return All(len(batch), fmt.Errorf("commit: %w", context.DeadlineExceeded))
	})
	for i, err := range errs {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("item %d: %v", i, err)
		}
	}
	if n != 1 {
		t.Errorf("it was worked %d times", n)
	}
}

// A batch that panics is an error for its items, and the end of nothing else.
func TestBatchThatPanics(t *testing.T) {
	t.Parallel()
	b := &Batcher[int]{Size: 8, AtOnce: 1, Work: func(_ context.Context, batch []int) []error {
		if slices.Contains(batch, 7) {
			panic("seven")
		}
		return make([]error, len(batch))
	}}
	if err := b.Do(t.Context(), 7); err == nil {
		t.Error("it panicked, and that is no error")
	}
	if err := b.Do(t.Context(), 1); err != nil {
		t.Errorf("after a batch that panicked: %v", err)
	}
}

// What still waits when its ctx ends is not worked, nor is what comes after that; Settle waits for the end of what is being
// worked.
func TestItemIsTakenBack(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	begun, all := make(chan struct{}), make(chan struct{})
	var worked []int
	b := &Batcher[int]{Size: 1, AtOnce: 1, Work: func(_ context.Context, batch []int) []error {
		if worked = append(worked, batch...); batch[0] == 1 {
			close(begun)
			<-all
		}
		return make([]error, len(batch))
	}}
	var first error
	var g, back errgroup.Group
	g.Go(func() error { first = b.Settle(ctx, 1); return nil })
	<-begun
	for i, do := range []func(context.Context, int) error{b.Do, b.Settle} {
		back.Go(func() error {
			if err := do(ctx, 2+i); !errors.Is(err, context.Canceled) {
				t.Errorf("what was taken back: %v", err)
			}
			return nil
		})
	}
	for waiting := 0; waiting < 2; {
		b.mu.Lock()
		waiting = len(b.waiting)
		b.mu.Unlock()
		runtime.Gosched()
	}
	cancel()
	_ = back.Wait()
	for _, do := range []func(context.Context, int) error{b.Do, b.Settle} {
		if err := do(ctx, 4); !errors.Is(err, context.Canceled) {
			t.Errorf("what came too late: %v", err)
		}
	}
	close(all)
	if _ = g.Wait(); first != nil {
		t.Errorf("what was being worked: %v", first)
	}
	if err := b.Do(t.Context(), 5); err != nil || !slices.Equal(worked, []int{1, 5}) {
		t.Errorf("worked %v, %v", worked, err)
	}
}

// Those that are woken at the same moment are worked together: the first does not go alone.
func TestWokenTogether(t *testing.T) { //nolint:paralleltest // it takes all processors but one away
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const rounds, n = 50, 20
	together := 0
	for range rounds {
		var sizes []int
		b := &Batcher[int]{Size: n, AtOnce: 1, Work: func(_ context.Context, batch []int) []error {
			sizes = append(sizes, len(batch))
			return make([]error, len(batch))
		}}
		var g errgroup.Group
		for i := range n {
			g.Go(func() error { return b.Do(t.Context(), i) })
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if sizes[0] > 1 {
			together++
		}
	}
	if together < rounds/2 { // now and then the runtime lets a goroutine pass the others
		t.Errorf("in %d of %d rounds the first went alone", rounds-together, rounds)
	}
}
