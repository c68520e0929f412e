package publisher

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/omni-write/threads/events"
)

// A lease is taken by an UPDATE whose answer may be lost: then the row may be ours, and we do not know. The token is made
// before it, so the row tells. To this process such a lease is no obstacle; others wait until it lapses, as ever.

// unheard are the leases of posts about which this process has had no answer. To forget one costs the wait for its end.
type unheard struct {
	mu     sync.Mutex
	leases map[string]unheardLease // by post
}

type unheardLease struct {
	token string
	// claimed is the post as it was before the claim that takes this lease; nil: it was taken for other work. No call was made.
	claimed *Post
}

// errUnheard says that a claim was made, and its worker did not hear of it.
var errUnheard = errors.New("the claim was not heard of")

// unheardAgain is the pause before a claim of which nothing was heard is looked at.
const unheardAgain = 100 * time.Millisecond

// maxUnheard bounds what is remembered.
const maxUnheard = 10_000

func (u *unheard) add(postID string, l unheardLease) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.leases == nil || len(u.leases) >= maxUnheard {
		u.leases = map[string]unheardLease{}
	}
	u.leases[postID] = l
}

// is says whether the row has such a lease.
func (u *unheard) is(row *Post) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return row.Lease != "" && u.leases[row.ID].token == row.Lease
}

// token is what the next lease of a post is taken with: the one that may be there, which then is nobody else's any more, or
// a new one.
func (u *unheard) token(postID string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	l, ok := u.leases[postID]
	delete(u.leases, postID)
	if ok && l.claimed == nil {
		return l.token
	}
	return uuid.NewString()
}

// claimed gives the post as it was before the claim that the row shows, once, if nothing was heard of that claim.
func (u *unheard) claimed(row *Post) (before *Post, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.leases[row.ID]
	if row.State != events.StatePublishing || l.claimed == nil || l.token != row.Lease {
		return nil, false
	}
	delete(u.leases, row.ID)
	return l.claimed, true
}

// unclaim takes back a claim of which nothing was heard: no call followed it.
func (s *Service) unclaim(ctx context.Context, before, p *Post) error {
	tried := events.Attempt{At: s.now(), Phase: "publish", Message: "Stopped before the call was made."}
	err := s.unsent(ctx, before, p, errUnheard, tried)
	if err != nil && !errors.Is(err, errLost) {
		s.store.unheard.add(p.ID, unheardLease{token: p.Lease, claimed: before})
		return err
	}
	return nil
}
