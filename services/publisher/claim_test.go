package publisher

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
)

// Two wake-ups of one post meet in one batch: one wins, the other loses, and the posts beside them do not notice.
func TestClaimTwiceInABatch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.idle()
	now := time.Now()
	claimOf := func(old *posts.Post) posts.Claim {
		return posts.Claim{Old: old, Next: old.Claim(uuid.NewString(), now, now.Add(time.Minute)), CallLasts: time.Minute}
	}
	ready := func(text string) *posts.Post {
		p := s.newPost(events.NewPostID(), testUser, r.account.ID, events.Draft{Text: text}, now)
		p.State, p.ContainerID, p.ContainerAt, p.WakeAt = events.StateReady, "17890000000000001", now, now
		p.Canonicalize()
		if _, err := r.db.NewInsert().Model(p).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		return p
	}
	one, other := ready("one"), ready("other")
	errs := s.store.Claim(t.Context(), []posts.Claim{claimOf(one), claimOf(one), claimOf(other)}, time.Second, now)
	if errs[0] != nil || !errors.Is(errs[1], posts.ErrLost) || errs[2] != nil {
		t.Fatalf("%v", errs)
	}
	usages, err := posts.QuotaUsed(t.Context(), r.db, []string{r.account.ID}, now)
	if err != nil || usages[posts.AccountQuota{Account: r.account.ID, Quota: posts.QuotaPosts}].Used != 2 {
		t.Errorf("%v, %v", usages, err)
	}
	for _, id := range []string{one.ID, other.ID} {
		if p := r.any(id); p.Attempt != 1 || p.State != events.StatePublishing {
			t.Errorf("%s is %s after %d calls", p.Text, p.State, p.Attempt)
		}
	}
}
