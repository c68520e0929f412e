package delivery_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/services/publisher"
)

// silentFor has TestSilentNode measure: with the waits of production, and a node that stands still for so long. It prints how
// late posts were and how long it took to accept them:
//
//	go test ./services/publisher/delivery -run TestSilentNode -silent 75s -v
var silentFor = flag.Duration("silent", 0, "how long a node stands still while TestSilentNode measures; 0: it only tests")

// Three nodes in processes of their own; the one that the publisher is connected to stands still. While it does, every
// command is accepted and every post goes out, once.
func TestSilentNode(t *testing.T) {
	if *silentFor == 0 {
		t.Parallel()
	}
	nodes := bustest.NewProcesses(t)
	var connection *bus.Bus
	r := setupOn(t, func(name string) *bus.Bus {
		b := nodes.Connect(name)
		if name == "publisher" {
			connection = b
		}
		return b
	})
	r.Log = zap.NewNop()
	lead, every, before, during := 4*time.Second, 250*time.Millisecond, 20, 20
	if *silentFor > 0 {
		cfg, err := publisher.ConfigFromEnv(func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		r.Config = cfg
		lead, every, before, during = 5*time.Second, 500*time.Millisecond, 40, int(*silentFor/(500*time.Millisecond))
	}
	s, _ := r.Start()
	waiting.Until(t, "the publisher", func() bool { return s.Ready(t.Context()) == nil })

	var list []events.SchedulePost
	var mu sync.Mutex
	var slowest time.Duration
	accept := func(i int, due time.Time) {
		cmd := events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: fmt.Sprintf("past a silent node %d", i)}, PublishAt: due}
		id, began := events.NewCommandID(), time.Now()
		for r.Bus.Send(t.Context(), cmd, bus.CommandOptions{ID: id}) != nil && t.Context().Err() == nil {
			clock.Sleep(t.Context(), 100*time.Millisecond) // as a client does, under the same key
		}
		mu.Lock()
		defer mu.Unlock()
		list = append(list, cmd)
		slowest = max(slowest, time.Since(began))
	}
	began := time.Now()
	for i := range before {
		accept(i, began.Add(lead+time.Duration(i)*every))
	}
	for _, p := range list {
		r.rowExists(p.PostID)
	}
	silent := connection.JetStream().Conn().ConnectedServerName()
	t.Logf("%s stands still from now on", silent)
	nodes.Freeze(silent)
	frozen := time.Now()
	var clients sync.WaitGroup
	for i := range during {
		clients.Go(func() { accept(before+i, time.Now().Add(lead)) })
		clock.Sleep(t.Context(), every)
	}
	clients.Wait()
	if *silentFor > 0 {
		clock.Sleep(t.Context(), time.Until(frozen.Add(*silentFor)))
		t.Logf("%s goes on", silent)
		nodes.Thaw(silent)
	}
	for _, p := range list {
		r.RowWithin(p.PostID, events.StatePublished, waiting.Limit)
	}
	if is := connection.JetStream().Conn().ConnectedServerName(); is == silent && *silentFor == 0 {
		t.Errorf("the publisher is connected to %s, which stands still", is)
	}
	nodes.Thaw(silent)
	var late []time.Duration
	for _, p := range list {
		n, at := r.Arrivals(p.Draft.Text)
		if n != 1 {
			t.Errorf("%q is at Threads %d times", p.Draft.Text, n)
		}
		late = append(late, at.Sub(p.PublishAt))
	}
	slices.Sort(late)
	t.Logf("%d posts: lateness p50 %s, p90 %s, worst %s; slowest acceptance %s", len(late), late[len(late)/2].Round(time.Millisecond),
		late[len(late)*9/10].Round(time.Millisecond), late[len(late)-1].Round(time.Millisecond), slowest.Round(time.Millisecond))
}

// rowExists waits until a post is accepted.
func (r *system) rowExists(id string) {
	r.T.Helper()
	waiting.Until(r.T, "the post "+id, func() bool {
		_, err := posts.NewStore(r.DB, 0, 0).Get(context.WithoutCancel(r.T.Context()), r.DB, id)
		return err == nil
	})
}
