package posts

import (
	"sync"

	"github.com/google/uuid"

	"github.com/omni-write/threads/events"
)

// A lease is taken by an UPDATE whose answer may be lost: then the row may be ours, and we do not know. The token is made
// before it, so the row tells. To this process such a lease is no obstacle; others wait until it lapses, as ever.

// Unacknowledged are the leases about which this process has had no answer, by token: several workers of one post may each have
// asked for one, and any may be the one that was given. To forget one costs the wait for its end.
type Unacknowledged struct {
	mu     sync.Mutex
	leases map[string]*Post
}

// maxUnacknowledged bounds what is remembered.
const maxUnacknowledged = 10_000

// Add remembers a token. claimed is the post as it was before the claim that takes the lease; nil: it was taken for other
// work. No call was made.
func (u *Unacknowledged) Add(token string, claimed *Post) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.leases == nil || len(u.leases) >= maxUnacknowledged {
		u.leases = map[string]*Post{}
	}
	u.leases[token] = claimed
}

// Has says whether the row has such a lease.
func (u *Unacknowledged) Has(row *Post) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.leases[row.Lease]
	return ok
}

// token is what the next lease of a post is taken with: the one that the row has, which then is nobody else's any more, or
// a new one.
func (u *Unacknowledged) token(row *Post) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if claimed, ok := u.leases[row.Lease]; ok && claimed == nil {
		delete(u.leases, row.Lease)
		return row.Lease
	}
	return uuid.NewString()
}

// Claimed gives the post as it was before the claim that the row shows, once, if nothing was heard of that claim.
func (u *Unacknowledged) Claimed(row *Post) (before *Post, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before = u.leases[row.Lease]
	if row.State != events.StatePublishing || before == nil {
		return nil, false
	}
	delete(u.leases, row.Lease)
	return before, true
}
