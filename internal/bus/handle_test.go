package bus_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
)

const wait = 10 * time.Second

// handling runs handlers on a durable until the test ends; stop ends them before and waits.
func handling(t *testing.T, b *bus.Bus, durable string, h *bus.Handlers, o bus.HandleOptions) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Handle(ctx, durable, h, o) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("handling %s ended with %v", durable, err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// acks listens to what is said about the messages of a durable: +ACK, -NAK {"delay": …}, +TERM …
func acks(t *testing.T, b *bus.Bus, stream, durable string) <-chan string {
	t.Helper()
	said := make(chan string, 100)
	sub, err := b.JetStream().Conn().Subscribe("$JS.ACK."+stream+"."+durable+".>", func(m *nats.Msg) {
		if s := string(m.Data); s != "+WPI" {
			said <- s
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	return said
}

func next[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(wait):
		t.Fatalf("no %s within %s", what, wait)
		panic(nil)
	}
}

func aCommand() events.CancelPost {
	return events.CancelPost{PostID: events.NewPostID(), UserID: "user_1"}
}

// One case for each row of the table: what a handler returns → what becomes of its message and who hears of it.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		returns error
		panics  bool
		say     string // begin of what is said to JetStream
		done    bool   // an outcome is told at once
		code    events.Code
	}{
		"nothing: done":             {nil, false, "+ACK", true, ""},
		"a refusal: told and done":  {events.Faultf(events.Conflict, "too late"), false, "+ACK", true, events.Conflict},
		"pending: done, told later": {bus.Pending, false, "+ACK", false, ""},
		"later: again after that":   {bus.Later(1500 * time.Millisecond), false, `-NAK {"delay": 1500000000}`, false, ""},
		"something is away: again":  {events.Faultf(events.Unavailable, "no database"), false, `-NAK {"delay": 1000000000}`, false, ""},
		"anything else: again":      {errors.New("odd"), false, `-NAK {"delay": 1000000000}`, false, ""},
		"a panic: again":            {nil, true, `-NAK {"delay": 1000000000}`, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bustest.New(t)
			said := acks(t, b, events.StreamCommands, events.PublisherCommands)
			h := bus.NewHandlers()
			bus.OnCommand(h, func(context.Context, bus.Delivery, events.CancelPost) (any, error) {
				if c.panics {
					panic("no")
				}
				return map[string]string{"is": "done"}, c.returns
			})
			handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
			id := events.NewCommandID()
			patience := wait
			if !c.done {
				patience = 300 * time.Millisecond
			}
			o, err := b.Do(t.Context(), aCommand(), bus.CommandOptions{ID: id}, patience)
			if err != nil {
				t.Fatal(err)
			}
			if got := next(t, said, "word about the message"); !strings.HasPrefix(strings.ReplaceAll(got, ":1", ": 1"), c.say) {
				t.Errorf("JetStream was told %q, want %q", got, c.say)
			}
			if o.Done != c.done || o.CommandID != id {
				t.Errorf("the sender heard %+v", o)
			}
			if c.code != "" && (o.Fault == nil || o.Fault.Code != c.code) {
				t.Errorf("the sender heard the fault %v, want %s", o.Fault, c.code)
			}
			if c.done && c.code == "" && string(o.Result) != `{"is":"done"}` {
				t.Errorf("the sender heard the result %s", o.Result)
			}
		})
	}
}

func TestSetAside(t *testing.T) {
	t.Parallel()
	dead := func(t *testing.T, b *bus.Bus, subject string) *jetstream.RawStreamMsg {
		t.Helper()
		s, err := b.JetStream().Stream(t.Context(), events.StreamDead)
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.GetLastMsgForSubject(t.Context(), events.Dead(subject))
		if err != nil {
			t.Fatalf("nothing was set aside: %v", err)
		}
		return m
	}

	t.Run("what cannot be decoded", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		said := acks(t, b, events.StreamCommands, events.PublisherCommands)
		h := bus.NewHandlers()
		bus.OnCommand(h, func(context.Context, bus.Delivery, events.CancelPost) (any, error) { return nil, nil })
		handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
		for _, typ := range []string{(events.CancelPost{}).Type(), "post.of_tomorrow.v7"} {
			m := &nats.Msg{Subject: (events.CancelPost{}).Subject(), Data: []byte("{"), Header: nats.Header{
				events.HeaderType: {typ}, events.HeaderID: {"cmd_x"}, "Nats-Something": {"x"}}}
			if _, err := b.JetStream().PublishMsg(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if got := next(t, said, "word about the message"); !strings.HasPrefix(got, "+TERM") {
				t.Errorf("JetStream was told %q", got)
			}
			letter := dead(t, b, m.Subject)
			if string(letter.Data) != "{" || letter.Header.Get(bus.HeaderDeadStream) != events.StreamCommands || letter.Header.Get(events.HeaderType) != typ {
				t.Errorf("set aside as %v %s", letter.Header, letter.Data)
			}
			if letter.Header.Get("Nats-Something") != "" {
				t.Error("JetStream's own headers went along")
			}
		}
	})

	t.Run("a command that fails too often, with a word to its sender and the handler", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		h := bus.NewHandlers()
		var told atomic.Bool
		bus.OnCommand(h, func(context.Context, bus.Delivery, events.CancelPost) (any, error) { return nil, errors.New("always") })
		h.OnDead(func(context.Context, bus.Delivery, error) { told.Store(true) })
		handling(t, b, events.PublisherCommands, h, bus.HandleOptions{CommandDeliveries: 2})
		o, err := b.Do(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}, wait)
		if err != nil || !o.Done || o.Fault == nil || o.Fault.Code != events.Internal {
			t.Errorf("the sender heard %+v, %v", o, err)
		}
		if !told.Load() {
			t.Error("the handler was not told")
		}
		dead(t, b, aCommand().Subject())
	})

	t.Run("but never a wake-up", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		said := acks(t, b, events.StreamPostAlarms, events.PublisherDue)
		h := bus.NewHandlers()
		h.OnWake(events.PostDue("*"), func(context.Context, bus.Delivery, string) error { return errors.New("always") })
		handling(t, b, events.PublisherDue, h, bus.HandleOptions{CommandDeliveries: 1})
		if err := b.Wake(t.Context(), events.PostDue("post_x")); err != nil {
			t.Fatal(err)
		}
		if got := next(t, said, "word about the wake-up"); !strings.HasPrefix(got, "-NAK") {
			t.Errorf("JetStream was told %q", got)
		}
	})
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	said := acks(t, b, events.StreamCommands, events.PublisherCommands)
	began := make(chan struct{}, 2)
	h := bus.NewHandlers()
	bus.OnCommand(h, func(ctx context.Context, _ bus.Delivery, _ events.CancelPost) (any, error) {
		began <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	stop := handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
	if err := b.Send(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
		t.Fatal(err)
	}
	next(t, began, "handler")
	stop()
	if got := next(t, said, "word about the message"); got != "-NAK" {
		t.Errorf("JetStream was told %q, want the message back at once", got)
	}
}

func TestSendTwice(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	var times atomic.Int32
	handled := make(chan bus.Delivery, 10)
	h := bus.NewHandlers()
	bus.OnCommand(h, func(_ context.Context, d bus.Delivery, _ events.CancelPost) (any, error) {
		times.Add(1)
		handled <- d
		return nil, nil
	})
	handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
	cmd, id := aCommand(), events.NewCommandID()
	ctx := bus.WithCorrelation(t.Context(), "request-1")
	for range 2 {
		if err := b.Send(ctx, cmd, bus.CommandOptions{ID: id, Key: "k", BodyHash: "h"}); err != nil {
			t.Fatal(err)
		}
	}
	d := next(t, handled, "command")
	if d.Meta.ID != id || d.Meta.Key != "k" || d.Meta.BodyHash != "h" || d.Meta.Correlation != "request-1" || d.Meta.TraceParent == "" || d.Meta.Time.IsZero() {
		t.Errorf("the headers say %+v", d.Meta)
	}
	// Another command behind it: when that is handled, a second copy of the first would have been.
	if err := b.Send(t.Context(), cmd, bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
		t.Fatal(err)
	}
	next(t, handled, "second command")
	if n := times.Load(); n != 2 {
		t.Errorf("two commands were handled %d times", n)
	}
}

func TestSendRefused(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	s, err := b.JetStream().Stream(t.Context(), events.StreamCommands)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = 1 // full
	if _, err := b.JetStream().UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	err = b.Send(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()})
	if f := new(events.Fault); !errors.As(err, &f) || f.Code != events.Unavailable || f.RetryAfter == 0 {
		t.Errorf("a full stream says %v", err)
	}
}

func TestAsk(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	if _, err := bus.Ask[events.Outcome](t.Context(), b, events.GetCommand{}); !errors.Is(err, &events.Fault{Code: events.Unavailable}) {
		t.Errorf("nobody there says %v", err)
	}
	err := bus.Answer(b, func(_ context.Context, q events.GetCommand) (events.Outcome, error) {
		switch q.ID {
		case "gone":
			return events.Outcome{}, events.Faultf(events.NotFound, "Not there.").At("/id", "gone", "It is gone.")
		case "odd":
			return events.Outcome{}, errors.New("inner words")
		case "panic":
			panic("inner words")
		}
		return events.Outcome{CommandID: q.ID, Done: true}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if o, err := bus.Ask[events.Outcome](t.Context(), b, events.GetCommand{ID: "x"}); err != nil || o.CommandID != "x" || !o.Done {
		t.Errorf("answered %+v, %v", o, err)
	}
	_, err = bus.Ask[events.Outcome](t.Context(), b, events.GetCommand{ID: "gone"})
	if f := new(events.Fault); !errors.As(err, &f) || f.Code != events.NotFound || len(f.Details) != 1 {
		t.Errorf("a fault arrives as %v", err)
	}
	for _, id := range []string{"odd", "panic"} {
		if _, err = bus.Ask[events.Outcome](t.Context(), b, events.GetCommand{ID: id}); !errors.Is(err, &events.Fault{Code: events.Internal}) || strings.Contains(err.Error(), "inner") {
			t.Errorf("%s arrives as %v", id, err)
		}
	}
}

// One id follows a post from the HTTP request to its events.
func TestTrail(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	h := bus.NewHandlers()
	bus.OnCommand(h, func(ctx context.Context, _ bus.Delivery, c events.CancelPost) (any, error) {
		return nil, b.Emit(ctx, aFact(events.FactCancelled, c.PostID, 2))
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
