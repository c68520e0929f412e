package delivery_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// A command that was accepted is done after an outage, however often it was delivered during it.
func TestOutageMakesNoDeadLetter(t *testing.T) {
	t.Parallel()
	r := setup(t)
	address := pgtest.URL(t) + "&lock_timeout=100ms"
	db, err := pg.Open(t.Context(), pg.Config{URL: address}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	r.DB, r.Log = db, zap.NewNop()
	r.Account = r.Connect(testUser, "demo.user")

	// As many deliveries as an hour brings.
	cmd := events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "through an outage"}, PublishAt: time.Now().Add(time.Hour)}
	if err := r.Bus.Send(t.Context(), cmd, bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
		t.Fatal(err)
	}
	consumer, err := r.Bus.JetStream().Consumer(t.Context(), events.StreamCommands, events.PublisherCommands)
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		m, err := consumer.Next(jetstream.FetchMaxWait(waiting.Limit))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Nak(); err != nil {
			t.Fatal(err)
		}
	}

	// The publisher finds that it cannot write.
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "LOCK TABLE commands, posts IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	tried := make(chan string, 1)
	sub, err := r.Bus.JetStream().Conn().Subscribe("$JS.ACK."+events.StreamCommands+"."+events.PublisherCommands+".>", func(m *nats.Msg) {
		if word := string(m.Data); word != "+WPI" {
			select {
			case tried <- word:
			default: // only the first is waited for
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	r.Start()
	select {
	case word := <-tried:
		if !strings.HasPrefix(word, "-NAK") {
			t.Errorf("JetStream was told %q", word)
		}
	case <-time.After(waiting.Limit):
		t.Fatal("the publisher does not try")
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if n := r.deadLetters(); n != 0 {
		t.Fatalf("%d dead letters", n)
	}
	r.Await(cmd.PostID, events.FactScheduled)
}

// A question while Postgres is away is answered as unavailable.
func TestOutageOfAQuestion(t *testing.T) {
	t.Parallel()
	r := setup(t)
	address := pgtest.URL(t)
	db, err := pg.Open(t.Context(), pg.Config{URL: address}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	r.DB, r.Log = db, zap.NewNop()
	r.Account = r.Connect(testUser, "demo.user")
	r.Start()
	p := r.Schedule(time.Hour, "asked about")
	q := asks.GetPost{UserID: testUser, ID: p.ID}
	if _, err := bus.Ask[asks.PostDetail](waiting.Context(t), r.Bus, q); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name := u.Path[1:]
	u.Path = "/postgres"
	admin, err := pg.Open(t.Context(), pg.Config{URL: u.String()}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	if _, err := admin.ExecContext(t.Context(), "ALTER DATABASE ?0 ALLOW_CONNECTIONS false; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ?1",
		bun.Ident(name), name); err != nil {
		t.Fatal(err)
	}
	_, err = bus.Ask[asks.PostDetail](t.Context(), r.Bus, q)
	var f *events.Fault
	if !errors.As(err, &f) || f.Code != events.Unavailable || f.RetryAfter == 0 {
		t.Errorf("without Postgres the asker hears %v", err)
	}
	if _, err := admin.ExecContext(t.Context(), "ALTER DATABASE ? ALLOW_CONNECTIONS true", bun.Ident(name)); err != nil {
		t.Fatal(err)
	}
	waiting.Until(t, "an answer after the outage", func() bool {
		_, err := bus.Ask[asks.PostDetail](t.Context(), r.Bus, q)
		return err == nil
	})
}

// deadLetters counts what was set aside.
func (r *system) deadLetters() uint64 {
	r.T.Helper()
	s, err := r.Bus.JetStream().Stream(r.T.Context(), events.StreamDead)
	if err != nil {
		r.T.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}
