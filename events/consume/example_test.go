package consume_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/events/consume"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/natsd"
)

// Tell me when a post is published.
func Example_published() {
	js, system, stop := startSystem()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()

	c := consume.New(js, consume.Options{Durable: "mail-published"})
	consume.On(c, func(_ context.Context, _ consume.Message, e events.PostPublished) error {
		where := "your profile" // a permalink may come late; post.updated.v1 brings it
		if e.Post.Permalink != nil {
			where = *e.Post.Permalink
		}
		fmt.Printf("%q is live at %s\n", e.Post.Text, where)
		cancel() // enough for an example
		return nil
	})

	system.publish("Good morning")
	if err := c.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: "Good morning" is live at https://www.threads.com/@ann/post/1
}

// Rebuild my own table: every event carries the whole post, and the rev says which is the latest. Whatever comes twice, late
// or out of order changes nothing. In SQL: INSERT … ON CONFLICT (id) DO UPDATE … WHERE mine.rev < excluded.rev.
func Example_table() {
	js, system, stop := startSystem()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	system.publish("Good morning") // it was emitted before we came: a new durable begins at the start of EVENTS

	mine := map[string]events.Post{} // a table, in earnest
	c := consume.New(js, consume.Options{Durable: "reports-posts"})
	consume.OnPost(c, func(_ context.Context, _ consume.Message, e events.PostEvent) error {
		post := e.Snapshot()
		if mine[post.ID].Rev < post.Rev {
			mine[post.ID] = post
		}
		if e.Fact() == events.FactPublished {
			cancel() // enough for an example
		}
		return nil
	})
	if err := c.Run(ctx); err != nil {
		fmt.Println(err)
	}
	for _, post := range mine {
		fmt.Println(post.Text, post.Status)
	}
	// Output: Good morning POSTED
}

// system stands for the one that emits events.
type system struct{ bus *bus.Bus }

// publish emits the life of a post.
func (s system) publish(text string) {
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	post := events.Post{
		ID: events.NewPostID(), UserID: "user_1", Provider: events.Provider, Text: text, ScheduledAt: at, Status: events.StatusQueued,
		AccountID: events.NewAccountID(), Kind: events.KindPost, Media: []events.Media{}, State: events.StateScheduled, Rev: 1, CreatedAt: at, UpdatedAt: at,
	}
	live := post
	link, id := "https://www.threads.com/@ann/post/1", "18060000000000017"
	live.State, live.Status, live.Rev, live.Permalink, live.PostedTweetID = events.StatePublished, events.StatusPosted, 2, &link, &id
	err := s.bus.Emit(context.Background(), events.NewPostEvent(events.FactScheduled, post), events.NewPostEvent(events.FactPublished, live))
	if err != nil {
		fmt.Println(err)
	}
}

// startSystem starts a server with the streams. Yours is there already: connect to it with nats.Connect.
func startSystem() (jetstream.JetStream, system, func()) {
	dir, err := os.MkdirTemp("", "consume")
	if err != nil {
		panic(err)
	}
	server, err := natsd.Start(natsd.Options{StoreDir: dir, Host: "127.0.0.1", Port: -1, Log: zap.NewNop()})
	if err != nil {
		panic(err)
	}
	b, err := bus.Connect(context.Background(), bus.Config{Name: "example", Options: []nats.Option{nats.InProcessServer(server)}})
	if err != nil {
		panic(err)
	}
	if err := bus.Declare(context.Background(), b, bus.Topology{}); err != nil {
		panic(err)
	}
	return b.JetStream(), system{b}, func() {
		_ = b.Close(context.Background())
		_ = server.Close()
		_ = os.RemoveAll(dir)
	}
}
