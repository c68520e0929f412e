package delivery_test

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
	"github.com/omni-write/threads/services/publisher/projector"
)

func TestTwoPublishers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	r.start()
	var list []events.Post
	for i := range 20 {
		list = append(list, r.schedule(1500*time.Millisecond, fmt.Sprintf("one of twenty: %d", i)))
	}
	for _, p := range list {
		r.once(r.await(p.ID, events.FactPublished))
	}
}

// snapshots is the table as the world may see it.
func (r *rig) snapshots() map[string]events.Post {
	r.t.Helper()
	var list []posts.Post
	if err := r.db.NewSelect().Model(&list).Scan(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	m := map[string]events.Post{}
	for i := range list {
		m[list[i].ID] = list[i].Snapshot()
	}
	return m
}

// projector is one beside those of the publishers.
func (r *rig) projector() *projector.Projector {
	return projector.New(r.cfg.Projector(), projector.Deps{Bus: r.bus, DB: r.db, Store: posts.NewStore(r.db, 0, 0), Log: r.log, Now: time.Now})
}

// A replay of EVENTS into an empty table gives the same table, but for the working columns.
func TestReplay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, stop := r.start()
	live, _ := r.do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "live"}, PublishAt: time.Now()}, 10*time.Second)
	gone, _ := r.do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "gone"}, PublishAt: time.Now()}, 10*time.Second)
	if _, fault := r.do(events.DeletePost{ID: gone.ID, UserID: testUser}, 10*time.Second); fault != nil {
		t.Fatal(fault)
	}
	waiting, cancelled := r.schedule(time.Hour, "waiting"), r.schedule(time.Hour, "cancelled")
	if _, fault := r.do(events.CancelPost{PostID: cancelled.ID, UserID: testUser}, 5*time.Second); fault != nil {
		t.Fatal(fault)
	}
	stop()
	before := r.snapshots()

	if _, err := r.db.ExecContext(t.Context(), "TRUNCATE posts, recorder_positions"); err != nil {
		t.Fatal(err)
	}
	rec := r.projector()
	s, err := r.bus.JetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := rec.Replay(t.Context(), r.db, 1, s.CachedInfo().State.LastSeq); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, r.snapshots()); diff != "" {
			t.Errorf("the rebuilt table differs:\n%s", diff)
		}
	}
	for id, dormant := range map[string]bool{waiting.ID: false, live.ID: true} {
		p, err := posts.NewStore(r.db, 0, 0).Get(t.Context(), r.db, id)
		if err != nil {
			t.Fatal(err)
		}
		if p.WakeAt.IsZero() != dormant {
			t.Errorf("%s %q wakes at %s", p.State, p.Text, p.WakeAt)
		}
	}
}

// recorded waits until the projector has acknowledged all of EVENTS.
func (r *rig) recorded() {
	r.t.Helper()
	for limit := time.Now().Add(waiting.Limit); ; clock.Sleep(r.t.Context(), 20*time.Millisecond) {
		stream, err := r.bus.JetStream().Stream(r.t.Context(), events.StreamEvents)
		if err != nil {
			r.t.Fatal(err)
		}
		consumer, err := stream.Consumer(r.t.Context(), events.PublisherRecorder)
		if err != nil {
			r.t.Fatal(err)
		}
		if floor := consumer.CachedInfo().AckFloor.Stream; floor >= stream.CachedInfo().State.LastSeq {
			return
		} else if time.Now().After(limit) {
			r.t.Fatalf("the projector has come to %d", floor)
		}
	}
}

// Yesterday's Postgres under today's EVENTS: nothing is published twice.
func TestRestore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, stop := r.start()
	p := r.schedule(800*time.Millisecond, "published after the backup")
	r.await(p.ID, events.FactPublished)
	r.row(p.ID, events.StatePublished)
	untold := r.schedule(time.Hour, "published after the backup, and the fact was lost")
	r.recorded()
	stop()
	// The backup knows the posts as scheduled, and nothing of what the projector acknowledged since.
	_, err := r.db.ExecContext(t.Context(), `UPDATE posts SET state = 'scheduled', rev = 1, told_rev = 1, media_id = NULL, container_id = NULL,
		attempt = 0, claimed_at = NULL, publish_at = now() - interval '1 second', wake_at = now()`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.db.ExecContext(t.Context(), "UPDATE recorder_positions SET seq = 1"); err != nil {
		t.Fatal(err)
	}
	// One of them is live although no event says so.
	grant, err := r.sim.Token("demo.user", "threads_basic", "threads_content_publish")
	if err != nil {
		t.Fatal(err)
	}
	container, err := r.api.CreateContainer(t.Context(), grant.AccessToken, draft.Container(&posts.Post{Text: untold.Text}))
	if err != nil {
		t.Fatal(err)
	}
	for err = fmt.Errorf("not yet"); err != nil; {
		_, err = r.api.Publish(t.Context(), grant.AccessToken, container, nil)
		clock.Sleep(t.Context(), 20*time.Millisecond)
	}

	refusing := publisher.New(r.cfg, publisher.Deps{Bus: bustest.Connect(t, r.nats, "publisher"), DB: r.db, Threads: r.api, Vault: r.vault, Log: r.log})
	ctx, cancel := context.WithTimeout(t.Context(), waiting.Limit)
	defer cancel()
	if err := refusing.Run(ctx); err == nil || !strings.Contains(err.Error(), "PUBLISHER_RESTORED_SINCE") {
		t.Fatalf("a restored database is taken for granted: %v", err)
	}
	r.cfg.RestoredSince = time.Now().Add(-time.Hour)
	r.start()
	for _, post := range []events.Post{p, untold} {
		r.row(post.ID, events.StatePublished)
		if n, _ := r.arrivals(post.Text); n != 1 {
			t.Errorf("%q is on Threads %d times%s", post.Text, n, r.rows())
		}
	}
}
