package delivery_test

import (
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// Whatever Threads does to a publish call, the post is live once, emitted once, and the row has the id that Threads gave.
func TestUnclearAnswers(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]threadssim.Fault{
		"the answer is lost after the commit":       {Op: "publish", Kind: threadssim.DropResponse},
		"an error comes although the post is live":  {Op: "publish", Kind: threadssim.ErrorAfterCommit},
		"the call is cut before the commit":         {Op: "publish", Kind: threadssim.DropRequest},
		"an edge answers in HTML":                   {Op: "publish", Kind: threadssim.Edge5xx},
		"a transient error comes before the commit": {Op: "publish", Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 2},
		"the container is not found at first":       {Op: "publish", Kind: threadssim.NotFound},
		"the answer comes after the deadline":       {Op: "publish", Kind: threadssim.Latency, DelayMS: 2500},
		"the list of posts fails while looking":     {Op: "posts", Kind: threadssim.Edge5xx},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			if fault.Op != "publish" {
				r.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropResponse})
			}
			r.Inject(fault)
			r.Start()
			p := r.Schedule(700*time.Millisecond, name)
			live := r.Await(p.ID, events.FactPublished)
			r.Once(live)
			row := r.Row(p.ID, events.StatePublished)
			if row.MediaID != r.Sim.Posts()[0].ID {
				t.Errorf("the row says %s, Threads %s", row.MediaID, r.Sim.Posts()[0].ID)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()

	t.Run("media that cannot be processed fails with words a person understands", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Inject(threadssim.Fault{Op: "create", Kind: threadssim.ProcessingTime, DelayMS: 50, Failure: "INVALID_DURATION"})
		r.Start()
		draft := events.Draft{Text: "clip", Media: []events.Media{{Type: events.Video, URL: "https://cdn.example/b.mp4"}}}
		_, fault := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: draft, PublishAt: time.Now()}, 10*time.Second)
		if fault == nil || fault.Code != events.Refused {
			t.Errorf("answered %v", fault)
		}
	})

	t.Run("a post whose time has long passed is missed, not sent late", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		s, _ := r.Start()
		p := r.Schedule(time.Hour, "too late")
		_, err := r.DB.NewUpdate().Model((*posts.Post)(nil)).Set("publish_at = ?, wake_at = ?", time.Now().Add(-25*time.Hour), time.Now().Add(-time.Second)).Where("id = ?", p.ID).Exec(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Delivery.SweepOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		failed := r.Await(p.ID, events.FactFailed)
		if failed.Reason.Code != events.Missed || failed.ErrorMessage == nil {
			t.Errorf("failed with %+v", failed.Reason)
		}
		if n, _ := r.Arrivals(p.Text); n != 0 {
			t.Error("it went out")
		}
	})

	t.Run("a dead token lets the post wait for the reconnect", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		if err := r.Sim.Revoke("demo.user", 460); err != nil {
			t.Fatal(err)
		}
		r.Start()
		p := r.Schedule(500*time.Millisecond, "needs a reconnect")
		if waiting := r.Await(p.ID, events.FactPostponed); waiting.Reason.Code != events.ReauthRequired {
			t.Errorf("it waits because %+v", waiting.Reason)
		}
		again := r.Connect(testUser, "demo.user")
		if again.ID != r.Account.ID {
			t.Fatal("the reconnect made another account")
		}
		if err := r.Bus.Emit(t.Context(), events.NewAccountConnected(again.Connection())); err != nil {
			t.Fatal(err)
		}
		r.Once(r.Await(p.ID, events.FactPublished))
	})

	t.Run("a disconnected account takes its queue with it", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		soon, later := r.Schedule(90*time.Second, "soon"), r.Schedule(time.Hour, "later")
		r.Await(soon.ID, events.FactPrepared)
		gone, _, err := accounts.Disconnect(t.Context(), r.DB, r.Account.ID, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Bus.Emit(t.Context(), events.NewAccountDisconnected(gone.Connection())); err != nil {
			t.Fatal(err)
		}
		for _, p := range []events.Post{soon, later} {
			if cancelled := r.Await(p.ID, events.FactCancelled); cancelled.Status != events.StatusCancelled || cancelled.Reason == nil {
				t.Errorf("it is %+v", cancelled)
			}
		}
	})

	t.Run("a used-up quota postpones", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		var uses []posts.QuotaUse
		for i := range posts.QuotaPosts.Total() {
			uses = append(uses, posts.QuotaUse{AccountID: r.Account.ID, Quota: posts.QuotaPosts, PostID: events.NewPostID(), At: time.Now().Add(-time.Hour + time.Duration(i)*time.Millisecond)})
		}
		if err := posts.SpendQuota(t.Context(), r.DB, uses...); err != nil {
			t.Fatal(err)
		}
		p := r.Schedule(300*time.Millisecond, "one too many")
		waiting := r.Await(p.ID, events.FactPostponed)
		if waiting.Reason.Code != events.RateLimited || waiting.Reason.RetryAfter == 0 {
			t.Errorf("it waits because %+v", waiting.Reason)
		}
		if n, _ := r.Arrivals(p.Text); n != 0 {
			t.Error("it went out")
		}
	})
}
