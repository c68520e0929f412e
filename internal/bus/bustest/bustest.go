// Package bustest gives a test a real nats-server with the real streams.
package bustest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// New is a bus on a server of the test's own, with everything declared.
func New(t testing.TB) *bus.Bus {
	t.Helper()
	return Connect(t, Server(t, t.TempDir()), "test")
}

// Server starts a server on dir; it stops with the test, or when it is closed before.
func Server(t testing.TB, dir string) *natsd.Server {
	t.Helper()
	s, err := natsd.Start(natsd.Options{StoreDir: dir, Host: "127.0.0.1", Port: -1, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Connect is another connection to a server, under a service's name. It declares what is not there yet. The server is a
// [natsd.Server], or a [Node] that can be restarted under the connection.
func Connect(t testing.TB, s nats.InProcessConnProvider, name string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(t.Context(), bus.Config{Name: name, Options: []nats.Option{nats.InProcessServer(s)}, Log: Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = b.Close(ctx)
	})
	if err := bus.Declare(t.Context(), b, bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	return b
}

// Log shows warnings in the test's output.
func Log(t testing.TB) *zap.Logger { return zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)) }

// Await reads EVENTS from its start until an event of type E matches.
func Await[E events.Event](t testing.TB, b *bus.Bus, match func(E) bool) E {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waiting.Limit)
	defer cancel()
	consumer, err := b.JetStream().OrderedConsumer(ctx, events.StreamEvents, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for ctx.Err() == nil {
		m, err := consumer.Next(jetstream.FetchMaxWait(500 * time.Millisecond))
		if errors.Is(err, nats.ErrTimeout) || errors.Is(err, jetstream.ErrNoMessages) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		msg, err := events.Decode(m.Headers().Get(events.HeaderType), m.Data())
		if err != nil {
			seen = append(seen, fmt.Sprintf("%v on %s", err, m.Subject()))
			continue
		}
		if ev, ok := msg.(E); ok && match(ev) {
			return ev
		}
		seen = append(seen, fmt.Sprintf("%s on %s", msg.Type(), m.Subject()))
	}
	t.Fatalf("no %s that matches came within %s; these did:\n  %s", reflect.TypeFor[E](), waiting.Limit, strings.Join(seen, "\n  "))
	var none E
	return none
}
