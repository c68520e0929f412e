package bus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
)

// A command that its service does at once is answered with the outcome, and takes no place on COMMANDS. What is no outcome is stored, and
// done from there.
func TestDoDirect(t *testing.T) {
	t.Parallel()
	refusal := events.Faultf(events.Conflict, "No.")
	for name, c := range map[string]struct {
		first  error // what the handler returns when it is asked directly
		stored uint64
		fault  events.Code
	}{
		"done":                   {nil, 0, ""},
		"refused":                {refusal, 0, events.Conflict},
		"it fails":               {errors.New("odd"), 1, ""},
		"something is away":      {events.Faultf(events.Unavailable, "away"), 1, ""},
		"it is to come again":    {bus.Later(time.Millisecond), 1, ""},
		"it panics":              {nil, 1, ""},
		"nobody can be asked":    {nil, 1, ""},
		"the sender cannot wait": {nil, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bustest.New(t)
			handled := make(chan bus.Delivery, 10)
			h := bus.NewHandlers()
			bus.OnCommand(h, func(_ context.Context, d bus.Delivery, cmd events.CancelPost) (any, error) {
				handled <- d
				if d.Sequence == 0 && c.first != nil {
					return nil, c.first
				}
				if d.Sequence == 0 && name == "it panics" {
					panic("odd")
				}
				return events.Post{ID: cmd.PostID}, nil
			})
			handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
			if name != "nobody can be asked" {
				if err := b.HandleDirect(t.Context(), events.PublisherCommands, h, bus.HandleOptions{}, bus.Bounds{}, events.CancelPost{}); err != nil {
					t.Fatal(err)
				}
			}
			wait := time.Minute
			if name == "the sender cannot wait" {
				wait = 0
			}
			id := events.NewCommandID()
			ctx := bus.WithCorrelation(t.Context(), "request-1")
			outcome, err := b.Do(ctx, aCommand(), bus.CommandOptions{ID: id, Key: "k", BodyHash: "h", Direct: true}, wait)
			if err != nil || wait > 0 && !outcome.Done || outcome.CommandID != id {
				t.Fatalf("the outcome is %+v, %v", outcome, err)
			}
			if got := outcome.Fault; (got == nil) != (c.fault == "") || got != nil && got.Code != c.fault {
				t.Errorf("the fault is %+v, want %q", got, c.fault)
			}
			d := next(t, handled, "command")
			if d.Meta.ID != id || d.Meta.Key != "k" || d.Meta.BodyHash != "h" || d.Meta.Correlation != "request-1" || d.Meta.Time.IsZero() {
				t.Errorf("the headers say %+v", d.Meta)
			}
			s, err := b.JetStream().Stream(t.Context(), events.StreamCommands)
			if err != nil {
				t.Fatal(err)
			}
			if n := s.CachedInfo().State.LastSeq; n != c.stored {
				t.Errorf("%d commands were stored, want %d", n, c.stored)
			}
		})
	}
}

// A command that may have been done directly is not said to have come to nothing, though it cannot be stored.
func TestDoDirectUnknown(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	s, err := b.JetStream().Stream(t.Context(), events.StreamCommands)
	if err != nil {
		t.Fatal(err)
	}
	full := s.CachedInfo().Config
	full.MaxBytes = 1
	if _, err := b.JetStream().UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	do := func() error {
		_, err := b.Do(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID(), Direct: true}, time.Minute)
		return err
	}
	if err := do(); !errors.Is(err, &events.Fault{Code: events.Unavailable}) {
		t.Errorf("where nobody could be asked it says %v", err)
	}
	h := bus.NewHandlers()
	bus.OnCommand(h, func(context.Context, bus.Delivery, events.CancelPost) (any, error) {
		return nil, errors.New("after the commit")
	})
	if err := b.HandleDirect(t.Context(), events.PublisherCommands, h, bus.HandleOptions{}, bus.Bounds{}, events.CancelPost{}); err != nil {
		t.Fatal(err)
	}
	if err := do(); !errors.Is(err, &events.Fault{Code: events.Unknown}) {
		t.Errorf("where it may have been done it says %v", err)
	}
}

// Who asked directly is answered before the rest of the work is done; on COMMANDS the rest comes first, and a failure of it has the command
// come again.
func TestThen(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	answered, rest := make(chan struct{}), make(chan uint64, 10)
	h := bus.NewHandlers()
	bus.OnCommand(h, func(_ context.Context, d bus.Delivery, cmd events.CancelPost) (any, error) {
		return bus.Then{Result: events.Post{ID: cmd.PostID}, Rest: func(ctx context.Context) error {
			if d.Sequence == 0 {
				<-answered
			}
			rest <- d.Deliveries
			if d.Deliveries == 1 {
				return bus.Later(time.Millisecond)
			}
			return ctx.Err()
		}}, nil
	})
	handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
	if err := b.HandleDirect(t.Context(), events.PublisherCommands, h, bus.HandleOptions{}, bus.Bounds{}, events.CancelPost{}); err != nil {
		t.Fatal(err)
	}
	for _, direct := range []bool{true, false} {
		o, err := b.Do(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID(), Direct: direct}, time.Minute)
		if err != nil || !o.Done || o.Fault != nil || !strings.Contains(string(o.Result), `"id"`) {
			t.Fatalf("the outcome is %+v, %v", o, err)
		}
		if direct {
			close(answered)
			if n := next(t, rest, "rest"); n != 1 {
				t.Errorf("the rest came with delivery %d", n)
			}
			continue
		}
		for want := range uint64(2) {
			if n := next(t, rest, "rest"); n != want+1 {
				t.Errorf("the rest came with delivery %d, want %d", n, want+1)
			}
		}
	}
}
