package bus_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/natsd"
)

// A service handles a command: what it returns is the outcome that the sender hears, and decides the ack.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	server, err := natsd.Start(natsd.Options{StoreDir: dir, Log: zap.NewNop()})
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx, stop := context.WithCancel(context.Background())
	b, err := bus.Connect(ctx, bus.Config{Name: "example", Options: []nats.Option{server.InProcess()}})
	if err != nil {
		panic(err)
	}
	if err := bus.Declare(ctx, b, bus.Topology{}); err != nil {
		panic(err)
	}

	h := bus.NewHandlers()
	bus.OnCommand(h, func(_ context.Context, _ bus.Delivery, c events.CancelPost) (any, error) {
		if c.PostID != "post_1" {
			return nil, events.Faultf(events.NotFound, "There is no such post among yours.")
		}
		return "cancelled", nil
	})
	done := make(chan error)
	go func() { done <- b.Handle(ctx, events.PublisherCommands, h, bus.HandleOptions{}) }()

	for _, post := range []string{"post_1", "post_2"} {
		cmd := events.CancelPost{PostID: post, UserID: "user_1"}
		outcome, err := b.Do(ctx, cmd, bus.CommandOptions{ID: events.NewCommandID()}, 5*time.Second)
		if err != nil {
			panic(err)
		}
		fmt.Println(post, string(outcome.Result), outcome.Fault)
	}
	stop()
	<-done
	_ = b.Close(context.Background())
	// Output:
	// post_1 "cancelled" <nil>
	// post_2  not_found: There is no such post among yours.
}
