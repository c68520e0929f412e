package delivery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/delivery"
	"github.com/omni-write/threads/services/publisher/projector"
)

// A puller that is gone took events and never acked them: the projector must not step over them.
func TestStolenEvents(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.SweepEvery = time.Hour // it would emit what is ten seconds old, and mark it
	r.Start()
	r.Await(r.Schedule(time.Hour, "first").ID, events.FactScheduled)
	stream, err := r.Bus.JetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := stream.Consumer(t.Context(), events.PublisherProjector)
	if err != nil {
		t.Fatal(err)
	}
	patient := consumer.CachedInfo().Config
	patient.AckWait = time.Hour // or what is stolen would come again by itself
	if consumer, err = stream.UpdateConsumer(t.Context(), patient); err != nil {
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
		list = append(list, r.Schedule(time.Hour, "stolen "+events.NewPostID()))
	}
	thief.Stop()
	list = append(list, r.Schedule(time.Hour, "one more, so that the projector sees the gap"), r.Schedule(time.Hour, "and another"))
	waiting.Until(t, "all of them are emitted, and marked so", func() bool {
		for _, p := range list {
			if row := r.Any(p.ID); row.EmittedRev < row.Rev {
				r.Schedule(time.Hour, "nudge "+events.NewPostID())
				return false
			}
		}
		return true
	})
}

// A post that waits while its container is still being processed is looked at before it is published.
func TestResumeLooks(t *testing.T) {
	t.Parallel()
	r := setup(t)
	p := posts.Post{ID: events.NewPostID(), State: events.StateWaiting, Rev: 2, EmittedRev: 2, Fact: events.FactPostponed, UserID: testUser, AccountID: r.Account.ID, Kind: events.KindPost,
		Text: "x", ContentHash: "x", PublishAt: time.Now(), PublishWithin: 3600, ContainerID: "17990000000000013", ContainerAt: time.Now(),
		WakeAt: time.Now(), CreatedAt: time.Now(), UpdatedAt: time.Now()}
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	if err := s.Delivery.Store().Insert(t.Context(), r.DB, &p); err != nil {
		t.Fatal(err)
	}
	if end, err := s.Delivery.Resume(t.Context(), &p); err != nil || end != delivery.Moved {
		t.Fatal(err)
	}
	if row := r.Row(p.ID, events.StateScheduled); row.ContainerID != p.ContainerID {
		t.Errorf("it lost its container: %+v", row)
	}
}

// EVENTS was deleted and declared anew under a database that has seen more: its events must not be taken for known.
func TestNewStream(t *testing.T) {
	t.Parallel()
	r := setup(t)
	if _, err := r.DB.ExecContext(t.Context(), "INSERT INTO recorder_positions (name, seq, updated_at) VALUES (?, 500, now())", projector.PositionRow); err != nil {
		t.Fatal(err)
	}
	r.Start()
	p := r.Schedule(300*time.Millisecond, "under a new stream")
	r.Once(r.Await(p.ID, events.FactPublished))
	if row := r.Row(p.ID, events.StatePublished); row.EmittedRev != row.Rev {
		t.Errorf("the projector skipped it: %s", r.Rows())
	}
	position, err := r.NewProjector().Position(t.Context(), r.DB)
	if err != nil || position >= 500 {
		t.Errorf("the position is %d, %v", position, err)
	}
}

// A restore that was cut short half-way is taken up again, not taken for done.
func TestRestoreCutShort(t *testing.T) {
	t.Parallel()
	r := setup(t)
	if _, err := r.DB.ExecContext(t.Context(), "INSERT INTO recorder_positions (name, seq, updated_at) VALUES (?, 0, now())", projector.RestoringRow); err != nil {
		t.Fatal(err)
	}
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	if err := s.Projector.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "PUBLISHER_RESTORED_SINCE") {
		t.Errorf("it says %v", err)
	}
}

// The outcome of a concluding post is emitted once, with its own rev, whoever emits what was not emitted before it.
func TestRepublishWhileConcluding(t *testing.T) {
	t.Parallel()
	r := setup(t)
	p := posts.Post{ID: events.NewPostID(), State: events.StateConcluding, Rev: 2, EmittedRev: 1, Fact: events.FactFailed, UserID: testUser, AccountID: r.Account.ID,
		Kind: events.KindPost, Text: "x", ContentHash: "x", PublishAt: time.Now(), PublishWithin: 3600, Reason: events.Faultf(events.Refused, "No."),
		WakeAt: time.Now(), AcceptedAt: time.Now(), CreatedAt: time.Now(), UpdatedAt: time.Now().Add(-time.Minute)}
	if err := posts.NewStore(r.DB, 0, 0).Insert(t.Context(), r.DB, &p); err != nil {
		t.Fatal(err)
	}
	r.Start()
	r.Row(p.ID, events.StateFailed)
	if n := r.Emitted(p.ID, events.FactFailed); n != 1 {
		t.Errorf("it was told as failed %d times", n)
	}
}
