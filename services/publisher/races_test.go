package publisher

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher/projector"
)

// Two workers have read the same ready row. The first one's call comes back to ready (24/4279009), which leaves state and
// rev as they were; the second must find that it lost, and not call without having looked.
func TestStaleClaim(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s, stop := r.start()
	p := r.schedule(time.Minute, "stale claim")
	r.row(p.ID, events.StateReady)
	stop() // from here on nobody works but the test
	s.bus, s.projector.Bus = r.bus, r.bus
	if _, err := r.db.ExecContext(t.Context(), "UPDATE posts SET publish_at = now(), wake_at = now()"); err != nil {
		t.Fatal(err)
	}
	first, second := r.row(p.ID, events.StateReady), r.row(p.ID, events.StateReady)
	r.inject(threadssim.Fault{Op: "publish", Kind: threadssim.NotFound})
	if err := s.publish(context.Background(), &first); err != nil {
		t.Fatal(err)
	}
	if err := s.publish(context.Background(), &second); !errors.Is(err, posts.ErrLost) {
		t.Errorf("the second worker got %v", err)
	}
	if row := r.row(p.ID, events.StateReady); row.Attempt != 1 || row.NotReady != 1 {
		t.Errorf("the row forgot the first call: %s", r.rows())
	}
}

// "Not found" can hide a success. A post whose time, or whose container, ends before the next call is looked for first.
func TestHiddenSuccess(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"its container dies": "container_at = now() - interval '23 hours 30 minutes'",
		"its time passes":    "publish_at = publish_at - interval '25 hours'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			s, stop := r.start()
			p := r.schedule(time.Minute, name)
			r.row(p.ID, events.StateReady)
			stop()
			s.bus, s.projector.Bus = r.bus, r.bus
			if _, err := r.db.ExecContext(t.Context(), "UPDATE posts SET publish_at = now(), wake_at = now()"); err != nil {
				t.Fatal(err)
			}
			row := r.row(p.ID, events.StateReady)
			r.inject(threadssim.Fault{Op: "publish", Kind: threadssim.ErrorAfterCommit, HTTP: 400, Code: 24, Subcode: 4279009})
			if err := s.publish(context.Background(), &row); err != nil {
				t.Fatal(err)
			}
			if row := r.row(p.ID, events.StateReady); row.Attempt != 1 {
				t.Fatalf("the call was not made: %s", r.rows())
			}
			if _, err := r.db.ExecContext(t.Context(), "UPDATE posts SET "+change+", wake_at = now()"); err != nil {
				t.Fatal(err)
			}
			r.start()
			live := r.await(p.ID, events.FactPublished)
			if n, _ := r.arrivals(name); n != 1 || *live.PostedTweetID != r.sim.Posts()[0].ID {
				t.Errorf("Threads has it %d times", n)
			}
		})
	}
}

// A puller that is gone took events and never acked them: the recorder must not step over them.
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
	list = append(list, r.schedule(time.Hour, "one more, so that the recorder sees the gap"), r.schedule(time.Hour, "and another"))
	deadline := time.Now().Add(8 * time.Second) // far less than AckWait
	for {
		untold, err := r.db.NewSelect().Model((*posts.Post)(nil)).Where("told_rev < rev").Count(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if untold == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("of %d posts %d stay untold", len(list)+1, untold)
		}
		r.schedule(time.Hour, "nudge "+events.NewPostID())
		pause(t.Context(), 100*time.Millisecond)
	}
}

func TestEditKeepsItsWord(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	photo := func(alt string) []events.Media {
		return []events.Media{{Type: events.Image, URL: "https://cdn.example/a.jpg", AltText: alt}}
	}
	p, fault := r.do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "x", Media: photo("old")}, PublishAt: time.Now().Add(time.Minute)}, 5*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	r.row(p.ID, events.StateReady)
	media := photo("new")
	edited, fault := r.do(events.EditPost{PostID: p.ID, UserID: testUser, Media: &media}, 5*time.Second)
	if fault != nil || edited.Media[0].AltText != "new" || edited.State != events.StateScheduled {
		t.Errorf("the alternative text is %q in state %s, %v", edited.Media[0].AltText, edited.State, fault)
	}
}

// A post that waits while its container is still being processed is looked at before it is published.
func TestResumeLooks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := posts.Post{ID: events.NewPostID(), State: events.StateWaiting, Rev: 2, ToldRev: 2, Fact: events.FactPostponed, UserID: testUser, AccountID: r.account.ID, Kind: events.KindPost,
		Text: "x", ContentHash: "x", PublishAt: time.Now(), PublishWithin: 3600, ContainerID: "17990000000000013", ContainerAt: time.Now(),
		WakeAt: time.Now(), CreatedAt: time.Now(), UpdatedAt: time.Now()}
	s := New(r.cfg, Deps{Bus: r.bus, DB: r.db, Threads: r.api, Vault: r.vault, Log: r.log})
	if err := s.store.Insert(t.Context(), r.db, &p); err != nil {
		t.Fatal(err)
	}
	if err := s.resume(t.Context(), &p); err != nil {
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
		t.Errorf("the recorder skipped it: %s", r.rows())
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
	s := New(r.cfg, Deps{Bus: r.bus, DB: r.db, Threads: r.api, Vault: r.vault, Log: r.log})
	if err := s.projector.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "PUBLISHER_RESTORED_SINCE") {
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

// Two pictures under one caption cannot be told apart in the account's list: while one is in doubt the other waits.
func TestSameCaption(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropRequest})
	r.inject(threadssim.Fault{Op: "publish", Kind: threadssim.Latency, DelayMS: 1200, Nth: 2})
	r.start()
	ids := map[string]bool{}
	var list []events.Post
	for i, in := range []time.Duration{time.Second, 1500 * time.Millisecond} {
		media := []events.Media{{Type: events.Image, URL: "https://cdn.example/" + string(rune('a'+i)) + ".jpg"}}
		p, fault := r.do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "one caption", Media: media}, PublishAt: time.Now().Add(in)}, 5*time.Second)
		if fault != nil {
			t.Fatal(fault)
		}
		list = append(list, p)
	}
	for _, p := range list {
		ids[*r.await(p.ID, events.FactPublished).PostedTweetID] = true
	}
	if n, _ := r.arrivals("one caption"); n != 2 || len(ids) != 2 {
		t.Errorf("two posts became %d at Threads, with %d ids%s", n, len(ids), r.rows())
	}
}

// A read that does not find the post is no proof that it is gone.
func TestDeleteNotVisible(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	p, fault := r.do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "not visible"}, PublishAt: time.Now()}, 10*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	r.inject(threadssim.Fault{Op: "media", Kind: threadssim.NotFound})
	if gone, fault := r.do(events.DeletePost{ID: p.ID, UserID: testUser}, 10*time.Second); fault != nil || gone.Status != events.StatusDeleted {
		t.Fatalf("answered %+v, %v", gone, fault)
	}
	for _, sp := range r.sim.Posts() {
		if !sp.Deleted {
			t.Error("it was told as deleted, and Threads still has it")
		}
	}
}

// A creation that takes longer than the lease keeps its lease: one container, and the post goes out.
func TestSlowCreation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.inject(threadssim.Fault{Op: "create", Kind: threadssim.Latency, DelayMS: 3500}) // the lease is 2 s
	r.start()
	r.once(r.await(r.schedule(500*time.Millisecond, "slow creation").ID, events.FactPublished))
	if n := len(r.sim.Containers()); n != 1 {
		t.Errorf("%d containers were made", n)
	}
}
