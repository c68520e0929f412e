package bus_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
)

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

// Commands that come together are stored together; a repeat among them is stored once, and refuses nobody else.
func TestSendTogether(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	const many = 400
	ids := make([]string, many)
	for i := range ids {
		ids[i] = events.NewCommandID()
	}
	ids[many-1] = ids[0]
	for half := range slices.Chunk(ids, many/2) {
		var wg sync.WaitGroup
		for _, id := range half {
			wg.Go(func() {
				if err := b.Send(context.Background(), aCommand(), bus.CommandOptions{ID: id}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	s, err := b.JetStream().Stream(t.Context(), events.StreamCommands)
	if err != nil {
		t.Fatal(err)
	}
	stored, together := map[string]int{}, 0
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		stored[m.Header.Get(events.HeaderID)]++
		if m.Header.Get("Nats-Batch-Id") != "" {
			together++
		}
	}
	if len(stored) != many-1 || stored[ids[0]] != 1 {
		t.Errorf("of %d commands %d are stored, the repeated one %d times", many-1, len(stored), stored[ids[0]])
	}
	if together == 0 {
		t.Error("no two commands were stored together")
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

func TestSendFails(t *testing.T) {
	t.Parallel()
	send := func(b *bus.Bus) <-chan error {
		got := make(chan error, 1)
		go func() { got <- b.Send(context.Background(), aCommand(), bus.CommandOptions{ID: "cmd_x"}) }()
		return got
	}

	t.Run("without a stream nothing was accepted", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		if err := b.JetStream().DeleteStream(t.Context(), events.StreamCommands); err != nil {
			t.Fatal(err)
		}
		if err := next(t, send(b), "answer"); !errors.Is(err, &events.Fault{Code: events.Unavailable}) {
			t.Errorf("it says %v", err)
		}
	})

	t.Run("a lost acknowledgement is asked for again, and the command stored once", func(t *testing.T) {
		t.Parallel()
		s := bustest.Server(t, t.TempDir())
		ops := bustest.Connect(t, s, "ops")
		b, l := connectLossy(t, s)
		l.deaf.Store(true)
		got := send(b)
		next(t, l.lost, "lost acknowledgement")
		l.deaf.Store(false)
		if err := next(t, got, "answer"); err != nil {
			t.Errorf("it says %v", err)
		}
		if n := messagesIn(t, ops, events.StreamCommands); n != 1 {
			t.Errorf("one command is %d messages", n)
		}
	})

	t.Run("without any acknowledgement nobody knows", func(t *testing.T) {
		t.Parallel()
		s := bustest.Server(t, t.TempDir())
		bustest.Connect(t, s, "ops")
		b, l := connectLossy(t, s)
		l.deaf.Store(true)
		if err := next(t, send(b), "answer"); !errors.Is(err, &events.Fault{Code: events.Unknown}) {
			t.Errorf("it says %v", err)
		}
	})

	t.Run("a refusal does not undo an earlier try of which nobody knows", func(t *testing.T) {
		t.Parallel()
		s := bustest.Server(t, t.TempDir())
		ops := bustest.Connect(t, s, "ops")
		stream, err := ops.JetStream().Stream(t.Context(), events.StreamCommands)
		if err != nil {
			t.Fatal(err)
		}
		cfg := stream.CachedInfo().Config
		b, l := connectLossy(t, s)
		l.deaf.Store(true)
		got := send(b)
		next(t, l.lost, "lost acknowledgement")
		// The command was stored, and taken by somebody. Now the stream is full, and has forgotten the id.
		if err := ops.JetStream().DeleteStream(t.Context(), events.StreamCommands); err != nil {
			t.Fatal(err)
		}
		cfg.MaxBytes = 1
		if _, err := ops.JetStream().CreateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		l.deaf.Store(false)
		if err := next(t, got, "answer"); !errors.Is(err, &events.Fault{Code: events.Unknown}) {
			t.Errorf("it says %v", err)
		}
	})

	t.Run("what is too large never leaves", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		cmd := events.CancelPost{PostID: strings.Repeat("x", 2<<20)}
		if err := b.Send(t.Context(), cmd, bus.CommandOptions{ID: "cmd_x"}); !errors.Is(err, &events.Fault{Code: events.Invalid}) {
			t.Errorf("it says %v", err)
		}
	})

	t.Run("a command without an id is refused: a repeat of it could not be known", func(t *testing.T) {
		t.Parallel()
		if err := bustest.New(t).Send(t.Context(), aCommand(), bus.CommandOptions{}); err == nil {
			t.Error("it was sent")
		}
	})
}

func messagesIn(t *testing.T, b *bus.Bus, stream string) uint64 {
	t.Helper()
	s, err := b.JetStream().Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func TestDo(t *testing.T) {
	t.Parallel()

	t.Run("an outcome is an answer even when the acknowledgement is lost", func(t *testing.T) {
		t.Parallel()
		s := bustest.Server(t, t.TempDir())
		ops := bustest.Connect(t, s, "ops")
		b, l := connectLossy(t, s)
		b.SetPatience(2 * time.Second) // the outcome comes before the sender gives up, on a slow machine too
		done := make(chan bus.Delivery, 1)
		h := bus.NewHandlers()
		bus.OnCommand(h, func(_ context.Context, d bus.Delivery, _ events.CancelPost) (any, error) {
			done <- d
			return nil, bus.Pending
		})
		handling(t, ops, events.PublisherCommands, h, bus.HandleOptions{})
		l.only = `"stream":"COMMANDS"` // acknowledgements are lost, outcomes are not
		l.deaf.Store(true)
		type answer struct {
			o   events.Outcome
			err error
		}
		got := make(chan answer, 1)
		go func() {
			o, err := b.Do(context.Background(), aCommand(), bus.CommandOptions{ID: "cmd_x"}, wait)
			got <- answer{o, err}
		}()
		d := next(t, done, "command")
		if err := ops.Reply(t.Context(), d.Meta.OutcomeTo, events.Outcome{CommandID: "cmd_x", Done: true}); err != nil {
			t.Fatal(err)
		}
		if a := next(t, got, "outcome"); a.err != nil || !a.o.Done {
			t.Errorf("the sender heard %+v, %v", a.o, a.err)
		}
	})

	t.Run("nobody to tell is no error", func(t *testing.T) {
		t.Parallel()
		if err := bustest.New(t).Reply(t.Context(), "", events.Outcome{}); err != nil {
			t.Error(err)
		}
	})

	t.Run("senders at the same time hear each their own", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		h := bus.NewHandlers()
		bus.OnCommand(h, func(_ context.Context, _ bus.Delivery, c events.CancelPost) (any, error) { return c.PostID, nil })
		handling(t, b, events.PublisherCommands, h, bus.HandleOptions{})
		wrong := make(chan string, 50)
		for range cap(wrong) {
			go func() {
				cmd := aCommand()
				o, err := b.Do(context.Background(), cmd, bus.CommandOptions{ID: events.NewCommandID()}, wait)
				if err != nil || string(o.Result) != `"`+cmd.PostID+`"` {
					wrong <- cmd.PostID + " heard " + string(o.Result)
					return
				}
				wrong <- ""
			}()
		}
		for range cap(wrong) {
			if w := next(t, wrong, "outcome"); w != "" {
				t.Error(w)
			}
		}
	})
}
