package delivery_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher/delivery"
)

// full takes all places of a quota but some.
func (r *system) full(q posts.Quota, left int) {
	r.T.Helper()
	_, err := r.DB.ExecContext(r.T.Context(), `INSERT INTO quota_uses SELECT ?, ?, now() - interval '1 hour', 'x' || g, 0
		FROM generate_series(1, ?) AS g`, r.Account.ID, q, q.Total()-left)
	if err != nil {
		r.T.Fatal(err)
	}
}

func (r *system) places(id string) int64 {
	r.T.Helper()
	n, err := r.DB.NewSelect().Model((*posts.QuotaUse)(nil)).Where("post_id = ?", id).Count(context.Background())
	if err != nil {
		r.T.Fatal(err)
	}
	return n
}

// The post that has the last place does not wait for itself when Threads does not see its container at once.
func TestOwnPlaceIsNoOther(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	r.full(posts.QuotaPosts, 1)
	if err := r.Sim.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.NotFound}); err != nil {
		t.Fatal(err)
	}
	p := r.Schedule(time.Second, "the 250th")
	r.Once(r.Await(p.ID, events.FactPublished))
	if n := r.Emitted(p.ID, events.FactPostponed); n != 0 {
		t.Errorf("it was postponed %d times", n)
	}
	if n := r.places(p.ID); n != 1 {
		t.Errorf("it has %d places", n)
	}
	after := r.Schedule(time.Second, "the 251st")
	if reason := r.Await(after.ID, events.FactPostponed).Reason; reason.Code != events.RateLimited {
		t.Errorf("it waits because of %v", reason)
	}
}

// A late post keeps its distance to others, not to its own last call.
func TestOwnCallIsNoOther(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.Idle()
	p := r.readyPost(s, testUser, r.Account.ID, "late")
	if errs := s.Delivery.Store().Claim(t.Context(), []posts.Claim{claimOf(p)}, time.Hour, time.Now()); errs[0] != nil {
		t.Fatal(errs)
	}
	if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET state = 'ready', lease = NULL, lease_until = NULL"); err != nil {
		t.Fatal(err)
	}
	was := r.Any(p.ID)
	again := claimOf(&was)
	again.Late = true
	if errs := s.Delivery.Store().Claim(t.Context(), []posts.Claim{again}, time.Hour, time.Now()); errs[0] != nil {
		t.Errorf("%v", errs)
	}
	other := claimOf(r.readyPost(s, testUser, r.Account.ID, "another late one"))
	other.Late = true
	if errs := s.Delivery.Store().Claim(t.Context(), []posts.Claim{other}, time.Hour, time.Now()); !errors.As(errs[0], new(posts.SpacingError)) {
		t.Errorf("%v", errs)
	}
}

// What is surely not live keeps no place, whichever way it ended.
func TestPlacesAreGivenBack(t *testing.T) {
	t.Parallel()

	t.Run("refused by Threads", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		p := r.Schedule(1500*time.Millisecond, "refused")
		r.Row(p.ID, events.StateReady)
		if err := r.Sim.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100}); err != nil {
			t.Fatal(err)
		}
		r.RowWithin(p.ID, events.StateFailed, 30*time.Second)
		if n := r.places(p.ID); n != 0 {
			t.Errorf("it has %d places", n)
		}
	})

	t.Run("not on the profile, says its owner", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		s := r.Idle()
		p := r.readyPost(s, testUser, r.Account.ID, "parked")
		if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET wake_at = now() + interval '1 hour' WHERE id = ?", p.ID); err != nil {
			t.Fatal(err)
		}
		if errs := s.Delivery.Store().Claim(t.Context(), []posts.Claim{claimOf(p)}, 0, time.Now()); errs[0] != nil || r.places(p.ID) != 1 {
			t.Fatal(errs)
		}
		claimed := r.Any(p.ID)
		if err := s.Delivery.Park(t.Context(), &claimed, delivery.Ambiguous()); err != nil {
			t.Fatal(err)
		}
		if n := r.places(p.ID); n != 1 {
			t.Errorf("while nobody knows it has %d places", n)
		}
		if _, fault := r.Do(events.ResolvePost{PostID: p.ID, UserID: testUser}, 10*time.Second); fault != nil {
			t.Fatal(fault)
		}
		if n := r.places(p.ID); n != 0 {
			t.Errorf("it has %d places", n)
		}
	})

	t.Run("the call did not leave", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		s := r.Idle()
		p := r.readyPost(s, testUser, r.Account.ID, "not sent")
		claimed, err := s.Delivery.Claim(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Delivery.ReleaseClaim(t.Context(), p, claimed, threads.ErrNotSent, asks.Attempt{At: time.Now(), Phase: "publish"}); err != nil {
			t.Fatal(err)
		}
		if n := r.places(p.ID); n != 0 {
			t.Errorf("it has %d places", n)
		}
	})

	t.Run("a deletion that Threads refused", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		p, fault := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "stays"}, PublishAt: time.Now()}, 10*time.Second)
		if fault != nil {
			t.Fatal(fault)
		}
		r.full(posts.QuotaDeletes, 1)
		if err := r.Sim.Inject(threadssim.Fault{Op: "delete", Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100}); err != nil {
			t.Fatal(err)
		}
		if _, fault := r.Do(events.DeletePost{ID: p.ID, UserID: testUser}, 20*time.Second); fault == nil {
			t.Fatal("the deletion was not refused")
		}
		if n := r.places(p.ID); n != 1 { // that of the post, which is live
			t.Errorf("it has %d places", n)
		}
		if gone, fault := r.Do(events.DeletePost{ID: p.ID, UserID: testUser}, 20*time.Second); fault != nil || gone.Status != events.StatusDeleted {
			t.Errorf("with one place left the deletion is answered %+v, %v", gone, fault)
		}
	})
}
