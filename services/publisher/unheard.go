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

// unheard are the leases about which this process has had no answer, by token: several workers of one post may each have
// asked for one, and any may be the one that was given. To forget one costs the wait for its end.
type unheard struct {
	mu     sync.Mutex
	leases map[string]*Post
}

// errUnheard says that a claim was made, and its worker did not hear of it.
var errUnheard = errors.New("the claim was not heard of")

// unheardAgain is the pause before a claim of which nothing was heard is looked at.
const unheardAgain = 100 * time.Millisecond

// maxUnheard bounds what is remembered.
const maxUnheard = 10_000

// add remembers a token. claimed is the post as it was before the claim that takes the lease; nil: it was taken for other
// work. No call was made.
func (u *unheard) add(token string, claimed *Post) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.leases == nil || len(u.leases) >= maxUnheard {
		u.leases = map[string]*Post{}
	}
	u.leases[token] = claimed
}

// is says whether the row has such a lease.
func (u *unheard) is(row *Post) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.leases[row.Lease]
	return ok
}

// token is what the next lease of a post is taken with: the one that the row has, which then is nobody else's any more, or
// a new one.
func (u *unheard) token(row *Post) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if claimed, ok := u.leases[row.Lease]; ok && claimed == nil {
		delete(u.leases, row.Lease)
		return row.Lease
	}
	return uuid.NewString()
}

// claimed gives the post as it was before the claim that the row shows, once, if nothing was heard of that claim.
func (u *unheard) claimed(row *Post) (before *Post, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before = u.leases[row.Lease]
	if row.State != events.StatePublishing || before == nil {
		return nil, false
	}
	delete(u.leases, row.Lease)
	return before, true
}

// unclaim takes back a claim of which nothing was heard: no call followed it.
func (s *Service) unclaim(ctx context.Context, before, p *Post) error {
	tried := events.Attempt{At: s.now(), Phase: "publish", Message: "Stopped before the call was made."}
	err := s.unsent(ctx, before, p, errUnheard, tried)
	if err != nil && !errors.Is(err, errLost) {
		s.store.unheard.add(p.Lease, before)
		return err
	}
	return nil
}
