// Package pace says when Threads is called: how many publish calls are under way, what waits until a rush of them is over, and how the
// calls ahead of an account's posts are spread.
package pace

import (
	"context"
	"sync"
	"time"

	"github.com/omni-write/threads/internal/limiter"
)

// Calls bounds the publish calls in flight.
type Calls struct {
	*limiter.Limiter               // an account's posts from their hour to the answer
	claims           chan struct{} // posts between their claim and the answer
	slots            chan struct{} // calls

	mu       sync.Mutex
	rushOver chan struct{} // closed when it is; nil while there is none
}

// NewCalls makes the places.
func NewCalls(total, perUser, perAccount int) *Calls {
	return &Calls{Limiter: limiter.New(0, perUser, perAccount), claims: make(chan struct{}, claimsPerCall*total), slots: make(chan struct{}, total)}
}

// claimsPerCall is how many posts may be claimed for each call in flight. Claims are made in batches, so a place for a
// call must not stand empty while one is written; but what is claimed when the process dies must be asked for.
const claimsPerCall = 4

// Claim waits until one more post may be claimed. The returned function gives the place back, once.
func (c *Calls) Claim(ctx context.Context) (done func(), err error) {
	if len(c.claims) == cap(c.claims) {
		c.beginRush()
	}
	leave, err := place(ctx, c.claims)
	if err != nil {
		c.endRush()
		return nil, err
	}
	return func() { leave(); c.endRush() }, nil
}

// Start waits until one more call may be made, as Claim does.
func (c *Calls) Start(ctx context.Context) (done func(), err error) { return place(ctx, c.slots) }

// A rush begins when a post that is due finds no place to be claimed, and ends when nearly all have been called. Meanwhile what can wait
// until after a call waits: processor time spent on it makes the next post late.

func (c *Calls) beginRush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rushOver == nil {
		c.rushOver = make(chan struct{})
	}
}

func (c *Calls) endRush() {
	if len(c.claims) > cap(c.claims)/16 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rushOver != nil {
		close(c.rushOver)
		c.rushOver = nil
	}
}

// InRush says whether posts that are due wait for a place to be claimed.
func (c *Calls) InRush() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rushOver != nil
}

// AfterRush waits until the rush is over, so long at most.
func (c *Calls) AfterRush(ctx context.Context, atMost time.Duration) {
	c.mu.Lock()
	over := c.rushOver
	c.mu.Unlock()
	if over == nil {
		return
	}
	limit := time.NewTimer(atMost)
	defer limit.Stop()
	select {
	case <-over:
	case <-limit.C:
	case <-ctx.Done():
	}
}

func place(ctx context.Context, places chan struct{}) (done func(), err error) {
	select {
	case places <- struct{}{}:
		return sync.OnceFunc(func() { <-places }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Busy says that half of the slots for calls are taken.
func (c *Calls) Busy() bool { return 2*len(c.slots) >= cap(c.slots) }

// Places is how many calls may be under way at once.
func (c *Calls) Places() int { return cap(c.slots) }
