package bus_test

import (
	"context"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
)

// One id follows a post from the HTTP request to its events.
func TestTrail(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	h := bus.NewHandlers()
	bus.OnCommand(h, func(ctx context.Context, _ bus.Delivery, c events.CancelPost) (any, error) {
		return nil, b.Emit(ctx, newEvent(events.FactCancelled, c.PostID, 2))
	})
	handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ctx := bus.WithTraceParent(bus.WithCorrelation(t.Context(), "request-1"), trace)
	id := events.NewCommandID()
	if _, err := b.Do(ctx, aCommand(), bus.CommandOptions{ID: id}, wait); err != nil {
		t.Fatal(err)
	}
	s, err := b.JetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]string{
		events.HeaderCorrelation: "request-1", events.HeaderCausation: id, events.HeaderTraceParent: trace, events.HeaderSpecVersion: "1.0",
		events.HeaderSource: events.Source, events.HeaderType: "post.cancelled.v1",
	} {
		if got := m.Header[header]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	if m.Header.Get(jetstream.MsgIDHeader) != m.Header[events.HeaderID][0] {
		t.Error("JetStream knows the event by another id than its consumers")
	}
}

func TestTraceParent(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	met := make(chan string, 1)
	h := bus.NewHandlers()
	bus.OnCommand(h, func(_ context.Context, d bus.Delivery, _ events.CancelPost) (any, error) {
		met <- d.Meta.TraceParent
		return nil, nil
	})
	handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
	for name, given := range map[string]string{"none": "", "nonsense": "mine", "a header smuggled in": "00-\r\nNats-Rollup: all"} {
		if err := b.Send(bus.WithTraceParent(t.Context(), given), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
			t.Fatal(err)
		}
		if got := next(t, met, "command"); !strings.HasPrefix(got, "00-") || len(got) != 55 {
			t.Errorf("%s became %q, want a new trace", name, got)
		}
	}
}
