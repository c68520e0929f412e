package projector_test

import (
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/projector"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

// Whoever holds the projector's lock and stands still keeps no publisher shut: it reads to the end by itself, says for whom it
// stands by, and publishes.
func TestStartBesideASilentProjector(t *testing.T) {
	t.Parallel()
	r := publishertest.New(t)
	s, stop := r.Start()
	p := r.Schedule(time.Hour, "told before")
	r.Await(p.ID, events.FactScheduled)
	waiting.Until(t, "it records", func() bool { at, err := s.Projector.Position(t.Context(), r.DB); return err == nil && at > 0 })
	stop()

	frozen, err := r.DB.Conn(t.Context()) // as one of an old release, which ends by no silence
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close()
	waiting.Until(t, "the lock", func() bool {
		var got bool
		return frozen.QueryRowContext(t.Context(), "SELECT pg_try_advisory_lock(?)", int64(projector.LockKey)).Scan(&got) == nil && got
	})
	var pid int
	if err := frozen.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	// Told, and recorded by nobody.
	if err := r.Bus.Emit(t.Context(), events.NewAccountConnected(r.Account.Connection())); err != nil {
		t.Fatal(err)
	}

	core, said := observer.New(zapcore.InfoLevel)
	r.Log = zap.New(core)
	s, _ = r.Start()
	waiting.Until(t, "the publisher to be current", func() bool { return s.Ready(t.Context()) == nil })
	r.Once(r.Await(r.Schedule(time.Second, "beside a silent projector").ID, events.FactPublished))
	waiting.Until(t, "a word about the holder", func() bool {
		for _, e := range said.FilterMessageSnippet("standing by").All() {
			if e.ContextMap()["holder_pid"] == int64(pid) && e.ContextMap()["holder"] == "test" {
				return true
			}
		}
		return false
	})
}

// Several that apply the same events at once, one of them under the lock, leave the rows and the position as one alone does.
func TestApplyingBesideAProjector(t *testing.T) {
	t.Parallel()
	r := publishertest.New(t)
	_, stop := r.Start()
	var posts []events.Post
	for range 20 {
		posts = append(posts, r.Schedule(time.Hour, events.NewPostID()))
	}
	for _, p := range posts {
		r.Await(p.ID, events.FactScheduled)
	}
	stop()
	if _, err := r.DB.ExecContext(t.Context(), "DELETE FROM posts; DELETE FROM recorder_positions"); err != nil {
		t.Fatal(err)
	}
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: zap.NewNop()})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := s.Projector.CatchUp(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, p := range posts {
		if row := r.Any(p.ID); row.Rev != p.Rev || row.EmittedRev != p.Rev || row.Text != p.Text {
			t.Errorf("the row is %+v", row)
		}
	}
}
