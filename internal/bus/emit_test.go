package bus_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
)

func newEvent(fact events.PostFact, post string, rev int64) events.PostEvent {
	return events.NewPostEvent(fact, events.Post{ID: post, AccountID: "acct_x", Rev: rev})
}

func stored(t *testing.T, b *bus.Bus) uint64 {
	t.Helper()
	return messagesIn(t, b, events.StreamEvents)
}

// batchOf is the atomic batch that a stored event came in; empty when it came alone.
func batchOf(t *testing.T, b *bus.Bus, seq uint64) string {
	t.Helper()
	return at(t, b, seq).Header.Get("Nats-Batch-Id")
}

func at(t *testing.T, b *bus.Bus, seq uint64) *jetstream.RawStreamMsg {
	t.Helper()
	s, err := b.JetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEmit(t *testing.T) {
	t.Parallel()

	t.Run("the same fact told again is stored once", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		for range 3 {
			if err := b.Emit(t.Context(), newEvent(events.FactScheduled, "post_a", 1), newEvent(events.FactPublished, "post_a", 2)); err != nil {
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
		first := newEvent(events.FactPublished, "post_a", 2)
		if err := b.Emit(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		err := b.Emit(t.Context(), newEvent(events.FactPublished, "post_a", 3))
		var already *bus.AlreadyPublishedError
		if !errors.As(err, &already) || already.StandingID != first.EventID() {
			t.Errorf("it says %v", err)
		}
	})

	t.Run("one bad event does not fail its neighbours in the batch", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		if err := b.Emit(t.Context(), newEvent(events.FactPublished, "post_bad", 2)); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		results := make([]error, 300)
		for i := range results {
			wg.Go(func() {
				ev := newEvent(events.FactPublished, events.NewPostID(), 2)
				if i == 150 {
					ev = newEvent(events.FactPublished, "post_bad", 9)
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

	t.Run("an event with nothing else on its way goes alone; many at once share batches", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		if err := b.Emit(t.Context(), newEvent(events.FactScheduled, "post_first", 1)); err != nil {
			t.Fatal(err)
		}
		if id := batchOf(t, b, 1); id != "" {
			t.Errorf("a lone event came in batch %s", id)
		}
		const many = 300
		var wg sync.WaitGroup
		for range many {
			wg.Go(func() {
				if err := b.Emit(context.Background(), newEvent(events.FactScheduled, events.NewPostID(), 1)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		syncs := map[string]bool{}
		for seq := uint64(2); seq <= many+1; seq++ {
			id := batchOf(t, b, seq)
			if id == "" {
				id = strconv.FormatUint(seq, 10) // alone
			}
			syncs[id] = true
		}
		if len(syncs) > many/4 {
			t.Errorf("%d events came in %d batches", many, len(syncs))
		}
	})

	t.Run("what one call tells is stored in its order, more than a batch of it too", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		emitted := make([]events.Event, 2*bus.EmitBatch+10)
		for i := range emitted {
			emitted[i] = newEvent(events.FactEdited, "post_a", int64(i+1))
		}
		if err := b.Emit(t.Context(), emitted...); err != nil {
			t.Fatal(err)
		}
		for i, ev := range emitted {
			if got := at(t, b, uint64(i+1)).Header.Get(events.HeaderID); got != ev.EventID() {
				t.Fatalf("place %d has %s", i+1, got)
			}
		}
	})

	t.Run("in its order also when the batch is refused", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		known := newEvent(events.FactScheduled, "post_known", 1)
		if err := b.Emit(t.Context(), known); err != nil {
			t.Fatal(err)
		}
		emitted := make([]events.Event, 50)
		for i := range emitted {
			emitted[i] = newEvent(events.FactEdited, "post_a", int64(i+1))
		}
		if err := b.Emit(t.Context(), append(emitted, known)...); err != nil {
			t.Fatal(err)
		}
		for i, ev := range emitted {
			if got := at(t, b, uint64(i+2)).Header.Get(events.HeaderID); got != ev.EventID() {
				t.Fatalf("place %d has %s", i+1, got)
			}
		}
	})

	t.Run("a batch whose acknowledgement is lost is stored once", func(t *testing.T) {
		t.Parallel()
		s := bustest.Server(t, t.TempDir())
		ops := bustest.Connect(t, s, "ops")
		b, l := connectLossy(t, s)
		l.deaf.Store(true)
		facts := []events.Event{newEvent(events.FactPublished, "post_a", 2)}
		for rev := range int64(bus.EmitFew) {
			facts = append(facts, newEvent(events.FactScheduled, "post_b", rev+1))
		}
		got := make(chan error, 1)
		go func() { got <- b.Emit(context.Background(), facts...) }()
		next(t, l.lost, "lost acknowledgement")
		l.deaf.Store(false)
		if err := next(t, got, "end"); err != nil {
			t.Errorf("it says %v", err)
		}
		if n := stored(t, ops); int(n) != len(facts) {
			t.Errorf("%d facts are %d messages", len(facts), n)
		}
		if batchOf(t, ops, 1) == "" {
			t.Error("it was not the batch that was stored")
		}
	})

	t.Run("a fact that was told and erased since is not told again", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		ev := newEvent(events.FactPublished, "post_a", 2)
		s, err := b.JetStream().Stream(t.Context(), events.StreamEvents)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := b.Emit(t.Context(), ev); err != nil {
				t.Fatal(err)
			}
			if err := s.Purge(t.Context(), jetstream.WithPurgeSubject(ev.Subject())); err != nil {
				t.Fatal(err)
			}
		}
	})

	t.Run("what is too large fails at once, and alone", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		large := events.NewPostEvent(events.FactEdited, events.Post{ID: "post_large", AccountID: "acct_x", Text: strings.Repeat("x", 2<<20)})
		err := b.Emit(t.Context(), newEvent(events.FactScheduled, "post_a", 1), large, newEvent(events.FactScheduled, "post_b", 1))
		if !errors.Is(err, nats.ErrMaxPayload) {
			t.Errorf("it says %v", err)
		}
		if n := stored(t, b); n != 2 {
			t.Errorf("%d events are stored, want its two neighbours", n)
		}
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (b, ops *bus.Bus, l *lossy, emitted chan error) {
		s := bustest.Server(t, t.TempDir())
		ops = bustest.Connect(t, s, "ops")
		b, l = connectLossy(t, s)
		l.deaf.Store(true)
		emitted = make(chan error, 1)
		go func() { emitted <- b.Emit(context.Background(), newEvent(events.FactScheduled, "post_a", 1)) }()
		next(t, l.lost, "lost acknowledgement")
		return b, ops, l, emitted
	}

	t.Run("waits for events on their way, and takes no more", func(t *testing.T) {
		t.Parallel()
		b, ops, l, emitted := begin(t)
		closed := make(chan error, 1)
		go func() { closed <- b.Close(context.Background()) }()
		l.deaf.Store(false)
		if err := next(t, emitted, "end of Emit"); err != nil {
			t.Errorf("Emit says %v", err)
		}
		if err := next(t, closed, "end of Close"); err != nil {
			t.Errorf("Close says %v", err)
		}
		if n := stored(t, ops); n != 1 {
			t.Errorf("%d events are stored", n)
		}
		if err := b.Emit(t.Context(), newEvent(events.FactScheduled, "post_b", 1)); err == nil {
			t.Error("a closed bus took an event")
		}
		if err := b.Close(t.Context()); err != nil {
			t.Errorf("closing again says %v", err)
		}
	})

	t.Run("but not for ever, and leaves nobody waiting, sent or queued", func(t *testing.T) {
		t.Parallel()
		b, _, _, emitted := begin(t)
		const many = 20 * bus.EmitBatch // more than may be on their way
		others := make(chan error, many)
		for range many {
			go func() { others <- b.Emit(context.Background(), newEvent(events.FactScheduled, events.NewPostID(), 1)) }()
		}
		now, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Close(now); err == nil {
			t.Error("it does not say that events were left")
		}
		if err := next(t, emitted, "end of Emit"); err == nil {
			t.Error("Emit says that an event is stored of which nobody knows")
		}
		for range many {
			if err := next(t, others, "end of Emit"); err == nil {
				t.Fatal("Emit says that an event is stored of which nobody knows")
			}
		}
	})
}

// The slower a sync, the fewer messages go one by one.
func TestFewer(t *testing.T) {
	t.Parallel()
	for alone, want := range map[time.Duration]int{0: bus.EmitFew, 100 * time.Microsecond: bus.EmitFew, 200 * time.Microsecond: 18, time.Millisecond: 10, 5 * time.Millisecond: 8, time.Second: 8} {
		if got := bus.Fewer(alone); got != want {
			t.Errorf("where one takes %s, up to %d go one by one, want %d", alone, got, want)
		}
	}
}
