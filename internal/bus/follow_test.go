package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// emitFor puts n events about an account on EVENTS, and returns the sequence of the last.
func emitFor(t *testing.T, b *bus.Bus, account string, n int) uint64 {
	t.Helper()
	for range n {
		post := events.Post{ID: events.NewPostID(), AccountID: account, UserID: "user_1", Rev: 1}
		if err := b.Emit(t.Context(), events.NewPostEvent(events.FactScheduled, post)); err != nil {
			t.Fatal(err)
		}
	}
	extent, err := b.Holds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return extent.Last
}

func TestReplayOfFacts(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	emitFor(t, b, "acct_a", 3)
	middle := emitFor(t, b, "acct_b", 2)
	emitFor(t, b, "acct_a", 3)
	emitFor(t, b, "acct_b", 1)
	end := emitFor(t, b, "acct_a", 1)
	read := func(after, upTo, most uint64, accounts ...string) (got []uint64, err error) {
		t.Helper()
		err = b.Replay(t.Context(), after, upTo, most, events.FactsOf(accounts...), func(f bus.StoredEvent) error {
			got = append(got, f.Sequence)
			return nil
		})
		return got, err
	}
	for _, c := range []struct {
		after, upTo uint64
		accounts    []string
		want        []uint64
	}{
		{0, end, []string{"acct_a"}, []uint64{1, 2, 3, 6, 7, 8, 10}},
		{2, 7, []string{"acct_a"}, []uint64{3, 6, 7}},
		{0, middle, []string{"acct_b"}, []uint64{4, 5}},
		{0, end, []string{"acct_a", "acct_b"}, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{3, 5, []string{"acct_a"}, nil}, // all that matches lies behind
		{end, end, []string{"acct_a"}, nil},
		{0, end, []string{"acct_c"}, nil},
		{0, end, nil, nil},
	} {
		if got, err := read(c.after, c.upTo, 100, c.accounts...); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("after %d up to %d of %v: %v, %v", c.after, c.upTo, c.accounts, got, err)
		}
	}
	var many *bus.TooManyError
	if got, err := read(0, end, 6, "acct_a"); !errors.As(err, &many) || many.Matching != 7 || got != nil {
		t.Errorf("%v, %v", got, err)
	}
	if there, err := b.Has(t.Context(), 4); err != nil || !there {
		t.Errorf("%t, %v", there, err)
	}
	s, err := b.JetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeSubject(events.FactsOf("acct_b")[0])); err != nil {
		t.Fatal(err)
	}
	if there, err := b.Has(t.Context(), 4); err != nil || there {
		t.Errorf("after the purge: %t, %v", there, err)
	}
	if got, err := read(0, end, 100, "acct_b"); err != nil || got != nil {
		t.Errorf("after the purge: %v, %v", got, err)
	}
	for name := range s.ConsumerNames(t.Context()).Name() {
		if !slices.ContainsFunc(events.Durables(), func(d events.Durable) bool { return d.Config.Durable == name }) {
			t.Errorf("a reading left its consumer %s", name)
		}
	}
}

// A reading of a stream that is gone ends. It does not go on upon another stream of the same name.
func TestFollowEndsWithItsStream(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	after := emitFor(t, b, "acct_a", 5)
	began, ended := make(chan struct{}, 10), make(chan error, 1)
	go func() {
		ended <- b.Follow(context.WithoutCancel(t.Context()), after, []string{events.EveryFact}, func(bus.StoredEvent) error {
			began <- struct{}{}
			return nil
		})
	}()
	emitFor(t, b, "acct_a", 1)
	<-began
	if err := b.JetStream().DeleteStream(t.Context(), events.StreamEvents); err != nil {
		t.Fatal(err)
	}
	if err := bus.Declare(t.Context(), b, bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it ended without a word")
		}
	case <-time.After(waiting.Limit):
		t.Error("it goes on")
	}
}

func TestFollowStops(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Follow(ctx, 0, []string{events.EveryFact}, func(bus.StoredEvent) error { return nil }); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	emitFor(t, b, "acct_a", 1)
	enough := fmt.Errorf("enough")
	if err := b.Follow(t.Context(), 0, []string{events.EveryFact}, func(bus.StoredEvent) error { return enough }); !errors.Is(err, enough) {
		t.Error(err)
	}
}
