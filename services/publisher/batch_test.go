package publisher

import (
	"context"
	"errors"
	"testing"
)

// Whoever gives up waiting for a row gets none: the batch still writes it.
func TestFetchGivenUp(t *testing.T) {
	t.Parallel()
	reading, write := make(chan struct{}), make(chan struct{})
	b := &batcher[read[Post]]{size: 1, atOnce: 1, work: func(_ context.Context, batch []read[Post]) []error {
		close(reading)
		<-write
		return give(batch, map[string]Post{"post_1": {ID: "post_1"}})
	}}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reading
		cancel()
	}()
	p, err := fetch(ctx, b, "post_1")
	close(write)
	if p != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v", p, err)
	}
	b.work = func(_ context.Context, batch []read[Post]) []error {
		return give(batch, map[string]Post{"post_1": {ID: "post_1"}})
	}
	if p, err := fetch(t.Context(), b, "post_1"); err != nil || p.ID != "post_1" {
		t.Errorf("got %v, %v", p, err)
	}
}
