package delivery_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// Two wake-ups of one post meet in one batch: one wins, the other loses, and the posts beside them do not notice.
func TestClaimTwiceInABatch(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.Idle()
	now := time.Now()
	claimOf := func(old *posts.Post) posts.Claim {
		return posts.Claim{Old: old, Next: old.Claim(uuid.NewString(), now, now.Add(time.Minute)), CallLasts: time.Minute}
	}
	ready := func(text string) *posts.Post {
		p := s.Delivery.NewPost(events.NewPostID(), testUser, r.Account.ID, events.Draft{Text: text}, now)
		p.State, p.ContainerID, p.ContainerAt, p.WakeAt = events.StateReady, "17890000000000001", now, now
		p.Canonicalize()
		if _, err := r.DB.NewInsert().Model(p).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		return p
	}
	one, other := ready("one"), ready("other")
	errs := s.Delivery.Store().Claim(t.Context(), []posts.Claim{claimOf(one), claimOf(one), claimOf(other)}, time.Second, now)
	if errs[0] != nil || !errors.Is(errs[1], posts.ErrLost) || errs[2] != nil {
		t.Fatalf("%v", errs)
	}
	usages, err := posts.QuotaUsed(t.Context(), r.DB, []string{r.Account.ID}, now)
	if err != nil || usages[posts.AccountQuota{Account: r.Account.ID, Quota: posts.QuotaPosts}].Used != 2 {
		t.Errorf("%v, %v", usages, err)
	}
	for _, id := range []string{one.ID, other.ID} {
		if p := r.Any(id); p.Attempt != 1 || p.State != events.StatePublishing {
			t.Errorf("%s is %s after %d calls", p.Text, p.State, p.Attempt)
		}
	}
}

// A wake-up that has outlived its post's claim comes in one batch with an overdue post: that keeps its distance all the same.
func TestClaimKeepsItsDistanceBesideAStaleOne(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.Idle()
	one, other := r.readyPost(s, testUser, r.Account.ID, "went out just now"), r.readyPost(s, testUser, r.Account.ID, "overdue")
	now := time.Now()
	if errs := s.Delivery.Store().Claim(t.Context(), []posts.Claim{claimOf(one)}, time.Minute, now); errs[0] != nil {
		t.Fatal(errs)
	}
	overdue := claimOf(other)
	overdue.Late = true
	errs := s.Delivery.Store().Claim(t.Context(), []posts.Claim{overdue, claimOf(one)}, time.Minute, now.Add(time.Second))
	var soon posts.SpacingError
	if !errors.As(errs[0], &soon) || soon.Until.Sub(now).Round(time.Millisecond) != time.Minute {
		t.Errorf("the overdue post: %v, until %s", errs[0], soon.Until)
	}
	if !errors.Is(errs[1], posts.ErrLost) {
		t.Errorf("the stale claim: %v", errs[1])
	}
}

// A process is told to stop while it claims a post: it hears of the claim, so that the post is not left claimed by nobody. What
// it has not begun to claim is left to others.
func TestStopDuringClaim(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.Idle()
	one, other := r.readyPost(s, testUser, r.Account.ID, "being claimed"), r.readyPost(s, testUser, r.Account.ID, "not claimed yet")
	ctx, stop := context.WithCancel(t.Context())
	claims := s.Delivery.Claims()
	work := claims.Work
	claims.Work = func(ctx context.Context, items []posts.Claim) []error {
		stop()
		return work(ctx, items)
	}
	p, err := s.Delivery.Claim(ctx, one)
	if err != nil || p.Lease != r.Any(one.ID).Lease {
		t.Errorf("%v; the row is %s with the lease %q", err, r.Any(one.ID).State, r.Any(one.ID).Lease)
	}
	if _, err := s.Delivery.Claim(ctx, other); err == nil {
		t.Error("it goes on claiming")
	}
	claims.Work = work
	last := r.readyPost(s, testUser, r.Account.ID, "by another")
	if _, err := s.Delivery.Claim(t.Context(), last); err != nil { // behind whatever was left there
		t.Error(err)
	}
	if row := r.Any(other.ID); row.State != events.StateReady {
		t.Errorf("%q is %s", row.Text, row.State)
	}
}

// A worker that has waited since it read the row, while the container was built anew, does not claim: it would call a container
// that the row does not know. For a later part of a chain that leaves the rev as it was.
func TestClaimOfAnotherContainer(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.Idle()
	p := r.readyPost(s, testUser, r.Account.ID, "built anew")
	r.Exec("UPDATE posts SET container_id = '17890000000000002' WHERE id = ?", p.ID)
	if _, err := s.Delivery.Claim(t.Context(), p); !errors.Is(err, posts.ErrLost) {
		t.Errorf("the claim: %v; the row is %s", err, r.Any(p.ID).State)
	}
}

// A process that is told to stop within the second before a post's time has claimed it already: it makes the call at that time, as nobody
// else can before the claim is taken back and tried again, a second too late.
func TestStopBetweenClaimAndCall(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.ClaimLead = time.Second
	_, stop := r.Start()
	p := r.Schedule(3*time.Second, "claimed, and then the process is told to stop")
	waiting.Until(t, "it is claimed", func() bool { return r.Any(p.ID).Attempt == 1 })
	stop()
	if n, first := r.Arrivals(p.Text); n != 1 || first.Before(p.ScheduledAt) {
		t.Errorf("%d calls, the first at %s; its time was %s", n, first, p.ScheduledAt)
	}
	if row := r.Any(p.ID); row.MediaID == "" || row.Attempt != 1 {
		t.Errorf("it is %s after attempt %d", row.State, row.Attempt)
	}
}
