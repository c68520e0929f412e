package pace

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
	"golang.org/x/time/rate"

	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
)

const (
	// aheadPerMinute and aheadAtOnce bound the calls of an account that are made ahead of its posts. Threads allows 48,000 in 24
	// hours at least and names no limit a minute; a burst of calls is what makes an app look like a script that ran away.
	aheadPerMinute, aheadAtOnce = 90, 20
	// unpaced is how long before its time a post is no longer held back: to be on time comes before being slow.
	unpaced = 45 * time.Second
	// pacesKept and maxPaces bound what is remembered of the accounts.
	pacesKept = 5 * time.Minute
	maxPaces  = 100_000
)

// Pacer spreads an account's calls ahead of its posts over the time that there is. It holds back no post that is soon due.
type Pacer struct {
	mu    sync.Mutex
	paces *expirable.LRU[string, *pace]
}

type pace struct {
	calls *rate.Limiter
	next  time.Time // the appointment of the next post that has to wait
}

// NewPacer makes one that remembers nothing yet.
func NewPacer() *Pacer {
	return &Pacer{paces: expirable.NewLRU[string, *pace](maxPaces, nil, pacesKept)}
}

func (c *Pacer) of(account string) *pace {
	p, ok := c.paces.Get(account)
	if !ok {
		p = &pace{calls: rate.NewLimiter(aheadPerMinute/rate.Limit(60), aheadAtOnce)}
		c.paces.Add(account, p)
	}
	return p
}

// Spend counts a call.
func (c *Pacer) Spend(account string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of(account).calls.ReserveN(now, 1) // may be one too many; others wait the longer
}

// Wait is how long a post that is to be prepared waits for its account's next call; 0 is not at all.
func (c *Pacer) Wait(p *posts.Post, now time.Time) time.Duration {
	left := p.PublishAt.Sub(now) - unpaced
	if left <= 0 {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.of(p.AccountID)
	if a.calls.TokensAt(now) >= 1 {
		return 0
	}
	a.next = clock.Latest(a.next, now).Add(time.Minute / aheadPerMinute) // one after the other, or all would come back together
	return min(a.next.Sub(now), left)
}
