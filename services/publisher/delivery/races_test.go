package delivery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/delivery"
	"github.com/omni-write/threads/services/publisher/projector"
)

// A puller that is gone took events and never acked them: the projector must not step over them.
func TestStolenEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	r.await(r.schedule(time.Hour, "first").ID, events.FactScheduled)
	consumer, err := r.bus.JetStream().Consumer(t.Context(), events.StreamEvents, events.PublisherRecorder)
	if err != nil {
		t.Fatal(err)
	}
	thief, err := consumer.Messages(jetstream.PullMaxMessages(10))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			if _, err := thief.Next(); err != nil {
				return
			}
		}
	}()
	var list []events.Post
	for range 8 {
		list = append(list, r.schedule(time.Hour, "stolen "+events.NewPostID()))
	}
	thief.Stop()
	list = append(list, r.schedule(time.Hour, "one more, so that the projector sees the gap"), r.schedule(time.Hour, "and another"))
	ids := make([]string, len(list))
	for i, p := range list {
		ids[i] = p.ID
	}
	deadline := time.Now().Add(20 * time.Second) // less than AckWait
	for {
		untold, err := r.db.NewSelect().Model((*posts.Post)(nil)).Where("told_rev < rev AND id IN (?)", bun.List(ids)).Count(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if untold == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("of %d posts %d stay untold", len(list), untold)
		}
		r.schedule(time.Hour, "nudge "+events.NewPostID())
		clock.Sleep(t.Context(), 100*time.Millisecond)
	}
}

// A post that waits while its container is still being processed is looked at before it is published.
func TestResumeLooks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := posts.Post{ID: events.NewPostID(), State: events.StateWaiting, Rev: 2, ToldRev: 2, Fact: events.FactPostponed, UserID: testUser, AccountID: r.account.ID, Kind: events.KindPost,
		Text: "x", ContentHash: "x", PublishAt: time.Now(), PublishWithin: 3600, ContainerID: "17990000000000013", ContainerAt: time.Now(),
		WakeAt: time.Now(), CreatedAt: time.Now(), UpdatedAt: time.Now()}
	s := publisher.New(r.cfg, publisher.Deps{Bus: r.bus, DB: r.db, Threads: r.api, Vault: r.vault, Log: r.log})
	if err := s.Delivery.Store().Insert(t.Context(), r.db, &p); err != nil {
		t.Fatal(err)
	}
	if end, err := s.Delivery.Resume(t.Context(), &p); err != nil || end != delivery.Moved {
		t.Fatal(err)
	}
	if row := r.row(p.ID, events.StateScheduled); row.ContainerID != p.ContainerID {
		t.Errorf("it lost its container: %+v", row)
	}
}

// EVENTS was deleted and declared anew under a database that has seen more: its facts must not be taken for known.
func TestNewStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if _, err := r.db.ExecContext(t.Context(), "INSERT INTO recorder_positions (name, seq, updated_at) VALUES (?, 500, now())", projector.PositionRow); err != nil {
		t.Fatal(err)
	}
	r.start()
	p := r.schedule(300*time.Millisecond, "under a new stream")
	r.once(r.await(p.ID, events.FactPublished))
	if row := r.row(p.ID, events.StatePublished); row.ToldRev != row.Rev {
		t.Errorf("the projector skipped it: %s", r.rows())
	}
	position, err := r.projector().Position(t.Context(), r.db)
	if err != nil || position >= 500 {
		t.Errorf("the position is %d, %v", position, err)
	}
}

// A restore that was cut short half-way is taken up again, not taken for done.
func TestRestoreCutShort(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if _, err := r.db.ExecContext(t.Context(), "INSERT INTO recorder_positions (name, seq, updated_at) VALUES (?, 0, now())", projector.RestoringRow); err != nil {
		t.Fatal(err)
	}
	s := publisher.New(r.cfg, publisher.Deps{Bus: r.bus, DB: r.db, Threads: r.api, Vault: r.vault, Log: r.log})
	if err := s.Projector.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "PUBLISHER_RESTORED_SINCE") {
		t.Errorf("it says %v", err)
	}
}

// The outcome of a concluding post is told once, with its own rev, whoever retells what was not told before it.
func TestRetellWhileConcluding(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := posts.Post{ID: events.NewPostID(), State: events.StateConcluding, Rev: 2, ToldRev: 1, Fact: events.FactFailed, UserID: testUser, AccountID: r.account.ID,
		Kind: events.KindPost, Text: "x", ContentHash: "x", PublishAt: time.Now(), PublishWithin: 3600, Reason: events.Faultf(events.Refused, "No."),
		WakeAt: time.Now(), AcceptedAt: time.Now(), CreatedAt: time.Now(), UpdatedAt: time.Now().Add(-time.Minute)}
	if err := posts.NewStore(r.db, 0, 0).Insert(t.Context(), r.db, &p); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.row(p.ID, events.StateFailed)
	if n := r.told(p.ID, events.FactFailed); n != 1 {
		t.Errorf("it was told as failed %d times", n)
	}
}
