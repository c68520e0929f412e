package projector_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/draft"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

// A replay of EVENTS into an empty table gives the same table, but for the working columns.
func TestReplay(t *testing.T) {
	t.Parallel()
	r := publishertest.New(t)
	_, stop := r.Start()
	live, _ := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: publishertest.User, Draft: events.Draft{Text: "live"}, PublishAt: time.Now()}, 10*time.Second)
	gone, _ := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: publishertest.User, Draft: events.Draft{Text: "gone"}, PublishAt: time.Now()}, 10*time.Second)
	if _, fault := r.Do(events.DeletePost{ID: gone.ID, UserID: publishertest.User}, 10*time.Second); fault != nil {
		t.Fatal(fault)
	}
	waiting, cancelled := r.Schedule(time.Hour, "waiting"), r.Schedule(time.Hour, "cancelled")
	if _, fault := r.Do(events.CancelPost{PostID: cancelled.ID, UserID: publishertest.User}, 5*time.Second); fault != nil {
		t.Fatal(fault)
	}
	stop()
	before := r.Snapshots()

	if _, err := r.DB.ExecContext(t.Context(), "TRUNCATE posts, recorder_positions"); err != nil {
		t.Fatal(err)
	}
	rec := r.NewProjector()
	s, err := r.Bus.JetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := rec.Replay(t.Context(), r.DB, 1, s.CachedInfo().State.LastSeq); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, r.Snapshots()); diff != "" {
			t.Errorf("the rebuilt table differs:\n%s", diff)
		}
	}
	for id, rescheduled := range map[string]bool{waiting.ID: false, live.ID: true} {
		p, err := posts.NewStore(r.DB, 0, 0).Get(t.Context(), r.DB, id)
		if err != nil {
			t.Fatal(err)
		}
		if p.WakeAt.IsZero() != rescheduled {
			t.Errorf("%s %q wakes at %s", p.State, p.Text, p.WakeAt)
		}
	}
}

// Yesterday's Postgres under today's EVENTS: nothing is published twice.
func TestRestore(t *testing.T) {
	t.Parallel()
	r := publishertest.New(t)
	_, stop := r.Start()
	p := r.Schedule(800*time.Millisecond, "published after the backup")
	r.Await(p.ID, events.FactPublished)
	r.Row(p.ID, events.StatePublished)
	unemitted := r.Schedule(time.Hour, "published after the backup, and the fact was lost")
	r.AwaitApplied()
	stop()
	// The backup knows the posts as scheduled, and nothing of what the projector acknowledged since.
	_, err := r.DB.ExecContext(t.Context(), `UPDATE posts SET state = 'scheduled', rev = 1, told_rev = 1, media_id = NULL, container_id = NULL,
		attempt = 0, claimed_at = NULL, publish_at = now() - interval '1 second', wake_at = now()`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.DB.ExecContext(t.Context(), "UPDATE recorder_positions SET seq = 1"); err != nil {
		t.Fatal(err)
	}
	// One of them is live although no event says so.
	grant, err := r.Sim.Token("demo.user", "threads_basic", "threads_content_publish")
	if err != nil {
		t.Fatal(err)
	}
	container, err := r.API.CreateContainer(t.Context(), grant.AccessToken, draft.Container(&posts.Post{Text: unemitted.Text}))
	if err != nil {
		t.Fatal(err)
	}
	for err = fmt.Errorf("not yet"); err != nil; {
		_, err = r.API.Publish(t.Context(), grant.AccessToken, container, nil)
		clock.Sleep(t.Context(), 20*time.Millisecond)
	}

	refusing := publisher.New(r.Config, publisher.Deps{Bus: bustest.Connect(t, r.NATS, "publisher"), DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	ctx, cancel := context.WithTimeout(t.Context(), waiting.Limit)
	defer cancel()
	if err := refusing.Run(ctx); err == nil || !strings.Contains(err.Error(), "PUBLISHER_RESTORED_SINCE") {
		t.Fatalf("a restored database is taken for granted: %v", err)
	}
	r.Config.RestoredSince = time.Now().Add(-time.Hour)
	r.Start()
	for _, post := range []events.Post{p, unemitted} {
		r.Row(post.ID, events.StatePublished)
		if n, _ := r.Arrivals(post.Text); n != 1 {
			t.Errorf("%q is on Threads %d times%s", post.Text, n, r.Rows())
		}
	}
}
