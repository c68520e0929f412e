package bus_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
)

// What fails for want of what a service stands on is tried again for ever, however often it came before. (Each durable here
// makes a command a dead letter at its first failure of its own.)
func TestOutageIsNoPoison(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		returns error
		away    bool // the dependency that the service named
	}{
		"Postgres shuts down":          {&pgconn.PgError{Code: "57P01"}, false},
		"Postgres has no space":        {&pgconn.PgError{Code: "53100"}, false},
		"somebody holds the row":       {&pgconn.PgError{Code: "55P03"}, false},
		"a deadlock":                   {&pgconn.PgError{Code: "40P01"}, false},
		"a name does not resolve":      {&net.DNSError{Err: "no such host", Name: "postgres", IsNotFound: true}, false},
		"NATS does not acknowledge":    {nats.ErrTimeout, false},
		"it took too long":             {context.DeadlineExceeded, false},
		"a part is away":               {events.Faultf(events.Unavailable, "no Threads"), false},
		"odd, and Postgres is away":    {errors.New("odd"), true},
		"our fault, Postgres is away":  {events.Faultf(events.Internal, "odd"), true},
		"something else, and all well": {errors.New("odd"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bustest.New(t)
			said := acks(t, b, events.StreamCommands, events.PublisherCommands)
			t.Cleanup(b.Depends(func(context.Context) error {
				if c.away {
					return errors.New("away")
				}
				return nil
			}))
			h := bus.NewHandlers()
			bus.OnCommand(h, func(context.Context, bus.Delivery, events.CancelPost) (any, error) { return nil, c.returns })
			handling(t, b, events.PublisherCommands, h, bus.HandleOptions{CommandDeliveries: 1})
			if err := b.Send(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
				t.Fatal(err)
			}
			want := "-NAK"
			if name == "something else, and all well" {
				want = "+TERM"
			}
			if got := next(t, said, "word about the message"); !strings.HasPrefix(got, want) {
				t.Errorf("JetStream was told %q, want %s", got, want)
			}
		})
	}

	t.Run("nor does a wait count", func(t *testing.T) {
		t.Parallel()
		b := bustest.New(t)
		said := acks(t, b, events.StreamCommands, events.PublisherCommands)
		h := bus.NewHandlers()
		bus.OnCommand(h, func(_ context.Context, d bus.Delivery, _ events.CancelPost) (any, error) {
			if d.Deliveries < 5 {
				return nil, bus.Later(time.Millisecond)
			}
			return nil, errors.New("odd")
		})
		handling(t, b, events.PublisherCommands, h, bus.HandleOptions{CommandDeliveries: 2})
		if err := b.Send(t.Context(), aCommand(), bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if got := next(t, said, "word about the message"); !strings.HasPrefix(got, "-NAK") {
				t.Errorf("JetStream was told %q", got)
			}
		}
	})
}

// A question that cannot be answered for an outage is answered as unavailable, whatever the error behind it.
func TestOutageOfAnswers(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	var fails atomic.Value
	var away atomic.Bool
	if err := bus.Answer(b, func(context.Context, asks.ListConnections) (asks.ConnectionList, error) {
		return asks.ConnectionList{}, fails.Load().(struct{ error }).error
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Depends(func(context.Context) error {
		if away.Load() {
			return errors.New("away")
		}
		return nil
	}))
	ask := func(err error) *events.Fault {
		t.Helper()
		fails.Store(struct{ error }{err})
		_, got := bus.Ask[asks.ConnectionList](t.Context(), b, asks.ListConnections{UserID: "user_1"})
		var f *events.Fault
		if !errors.As(got, &f) {
			t.Fatalf("the asker heard %v", got)
		}
		return f
	}
	nowhere := &net.DNSError{Err: "no such host", Name: "postgres", IsNotFound: true}
	if f := ask(nowhere); f.Code != events.Unavailable || f.RetryAfter == 0 {
		t.Errorf("without the name of Postgres the asker hears %+v", f)
	}
	if f := ask(errors.New("odd")); f.Code != events.Internal {
		t.Errorf("of our own mistake the asker hears %+v", f)
	}
	away.Store(true)
	if f := ask(errors.New("odd")); f.Code != events.Unavailable {
		t.Errorf("while Postgres is away the asker hears %+v", f)
	}
}
