package bus_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
)

func aFact(fact events.PostFact, post string, rev int64) events.PostEvent {
	return events.NewPostEvent(fact, events.Post{ID: post, AccountID: "acct_x", Rev: rev})
}

func stored(t *testing.T, b *bus.Bus) uint64 {
	t.Helper()
	s, err := b.JetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func TestEmit(t *testing.T) {
	t.Parallel()

	t.Run("the same fact told again is stored once", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		for range 3 {
			if err := b.Emit(t.Context(), aFact(events.FactScheduled, "post_a", 1), aFact(events.FactPublished, "post_a", 2)); err != nil {
				t.Fatal(err)
			}
		}
		if n := stored(t, b); n != 2 {
			t.Errorf("two facts are %d messages", n)
		}
	})

	t.Run("a second PostPublished of a post is refused", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		first := aFact(events.FactPublished, "post_a", 2)
		if err := b.Emit(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		err := b.Emit(t.Context(), aFact(events.FactPublished, "post_a", 3))
		var already *bus.AlreadyPublishedError
		if !errors.As(err, &already) || already.StandsID != first.EventID() {
			t.Errorf("it says %v", err)
		}
	})

	t.Run("one bad event does not fail its neighbours in the batch", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		if err := b.Emit(t.Context(), aFact(events.FactPublished, "post_bad", 2)); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		results := make([]error, 300)
		for i := range results {
			wg.Go(func() {
				ev := aFact(events.FactPublished, events.NewPostID(), 2)
				if i == 150 {
					ev = aFact(events.FactPublished, "post_bad", 9)
				}
				results[i] = b.Emit(context.Background(), ev)
			})
		}
		wg.Wait()
		for i, err := range results {
			if (err != nil) != (i == 150) {
				t.Errorf("event %d says %v", i, err)
			}
		}
		if n := stored(t, b); n != 300 {
			t.Errorf("%d events are stored, want 300", n)
		}
	})
}

func TestVerify(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	streams, durables := []string{events.StreamCommands, events.StreamPostAlarms, events.StreamEvents}, []string{events.PublisherDue, events.PublisherRecorder}
	if err := bus.Verify(t.Context(), b, streams, durables); err != nil {
		t.Errorf("what was declared does not verify: %v", err)
	}
	s, err := b.JetStream().Stream(t.Context(), events.StreamPostAlarms)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgs = 1000 // would lose alarms without a word
	if _, err := b.JetStream().UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := bus.Verify(t.Context(), b, streams, durables); err == nil {
		t.Error("an alarm stream with a limit verifies")
	}
	if err := b.JetStream().DeleteConsumer(t.Context(), events.StreamPostAlarms, events.PublisherDue); err != nil {
		t.Fatal(err)
	}
	if err := bus.Verify(t.Context(), b, nil, durables); err == nil {
		t.Error("a missing durable verifies")
	}
}
