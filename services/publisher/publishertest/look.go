package publishertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// Rows says what the table holds, for the messages of failures.
func (sys *System) Rows() string {
	var list []posts.Post
	if err := sys.DB.NewSelect().Model(&list).Scan(context.Background()); err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, p := range list {
		tried, _ := posts.NewStore(sys.DB, 0, 0).Attempts(context.Background(), sys.DB, p.ID)
		fmt.Fprintf(&b, "\n%s state=%s rev=%d told=%d fact=%s wake=%s reason=%v attempt=%d", p.ID, p.State, p.Rev, p.EmittedRev, p.Fact, p.WakeAt, p.Reason, p.Attempt)
		for _, a := range tried {
			fmt.Fprintf(&b, "\n   %s %s ok=%t %s", a.At.Format(time.TimeOnly), a.Phase, a.OK, a.Message)
		}
	}
	return b.String()
}

// Await waits for an event of a post.
func (sys *System) Await(id string, fact events.PostFact) events.Post {
	sys.T.Helper()
	defer func() {
		if sys.T.Failed() {
			sys.T.Log(sys.Rows())
		}
	}()
	return bustest.Await(sys.T, sys.Bus, func(ev events.PostEvent) bool { return ev.Snapshot().ID == id && ev.Fact() == fact }).Snapshot()
}

// Row waits until the row is in a state: the projector writes it after the event.
func (sys *System) Row(id string, state events.State) posts.Post {
	sys.T.Helper()
	return sys.RowWithin(id, state, 10*time.Second)
}

// RowWithin is Row with a time of its own.
func (sys *System) RowWithin(id string, state events.State, limit time.Duration) posts.Post {
	sys.T.Helper()
	deadline := time.Now().Add(max(limit, waiting.Limit)) // it only ends a test that hangs
	for {
		p, err := posts.NewStore(sys.DB, 0, 0).Get(sys.T.Context(), sys.DB, id)
		if err == nil && p.State == state {
			return *p
		}
		if time.Now().After(deadline) {
			sys.T.Fatalf("post %s did not become %s: %v %s", id, state, err, sys.Rows())
		}
		clock.Sleep(sys.T.Context(), 10*time.Millisecond)
	}
}

// Arrivals is what Threads committed for a text.
func (sys *System) Arrivals(text string) (n int, first time.Time) {
	for _, p := range sys.Sim.Posts() {
		if p.Text == text {
			if n == 0 {
				first = time.Unix(0, p.ArrivedNS)
			}
			n++
		}
	}
	return n, first
}

// Once checks that Threads has a post's text once, not early, and that EVENTS says so once.
func (sys *System) Once(p events.Post) {
	sys.T.Helper()
	n, at := sys.Arrivals(p.Text)
	if n != 1 {
		sys.T.Errorf("Threads has %q %d times, want once%s", p.Text, n, sys.Rows())
	}
	if at.Before(p.ScheduledAt) {
		sys.T.Errorf("%q arrived %s early", p.Text, p.ScheduledAt.Sub(at))
	}
	if n := sys.Emitted(p.ID, events.FactPublished); n != 1 {
		sys.T.Errorf("%q was emitted as published %d times", p.Text, n)
	}
}

// Emitted counts the events of a post with this fact.
func (sys *System) Emitted(id string, fact events.PostFact) int {
	sys.T.Helper()
	s, err := sys.Bus.JetStream().Stream(sys.T.Context(), events.StreamEvents)
	if err != nil {
		sys.T.Fatal(err)
	}
	info, err := s.Info(sys.T.Context())
	if err != nil {
		sys.T.Fatal(err)
	}
	n := 0
	patience := time.Now().Add(20 * time.Second)
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(sys.T.Context(), seq)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			continue // erased
		case err != nil && time.Now().Before(patience): // a cluster that has lost a server has no leader for a while
			clock.Sleep(sys.T.Context(), 50*time.Millisecond)
			seq--
			continue
		case err != nil:
			sys.T.Fatal(err)
		}
		if msg, err := events.Decode(m.Header.Get(events.HeaderType), m.Data); err == nil {
			if ev, ok := msg.(events.PostEvent); ok && ev.Snapshot().ID == id && ev.Fact() == fact {
				n++
			}
		}
	}
	return n
}

// Any is the row, whatever its state.
func (sys *System) Any(id string) posts.Post {
	sys.T.Helper()
	p, err := posts.NewStore(sys.DB, 0, 0).Get(sys.T.Context(), sys.DB, id)
	if err != nil {
		sys.T.Fatal(err)
	}
	return *p
}

// Snapshots is the table as the world may see it.
func (sys *System) Snapshots() map[string]events.Post {
	sys.T.Helper()
	var list []posts.Post
	if err := sys.DB.NewSelect().Model(&list).Scan(sys.T.Context()); err != nil {
		sys.T.Fatal(err)
	}
	m := map[string]events.Post{}
	for i := range list {
		m[list[i].ID] = list[i].Snapshot()
	}
	return m
}

// AwaitApplied waits until the projector has acknowledged all of EVENTS.
func (sys *System) AwaitApplied() {
	sys.T.Helper()
	for limit := time.Now().Add(waiting.Limit); ; clock.Sleep(sys.T.Context(), 20*time.Millisecond) {
		stream, err := sys.Bus.JetStream().Stream(sys.T.Context(), events.StreamEvents)
		if err != nil {
			sys.T.Fatal(err)
		}
		consumer, err := stream.Consumer(sys.T.Context(), events.PublisherProjector)
		if err != nil {
			sys.T.Fatal(err)
		}
		if floor := consumer.CachedInfo().AckFloor.Stream; floor >= stream.CachedInfo().State.LastSeq {
			return
		} else if time.Now().After(limit) {
			sys.T.Fatalf("the projector has come to %d", floor)
		}
	}
}
