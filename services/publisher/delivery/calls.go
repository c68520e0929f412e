package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/omni-write/threads/internal/limiter"
)

// calls bounds the publish calls in flight.
type calls struct {
	*limiter.Limiter               // an account's posts from their hour to the answer
	claims           chan struct{} // posts between their claim and the answer
	slots            chan struct{} // calls

	mu       sync.Mutex
	rushOver chan struct{} // closed when it is; nil while there is none
}

func newCalls(total, perUser, perAccount int) *calls {
	return &calls{Limiter: limiter.New(0, perUser, perAccount), claims: make(chan struct{}, claimsPerCall*total), slots: make(chan struct{}, total)}
}

// claimsPerCall is how many posts may be claimed for each call in flight. Claims are made in batches, so a place for a
// call must not stand empty while one is written; but what is claimed when the process dies must be asked for.
const claimsPerCall = 4

// claim waits until one more post may be claimed, start until one more call may be made. The returned function gives the
// place back, once.
func (c *calls) claim(ctx context.Context) (done func(), err error) {
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

func (c *calls) start(ctx context.Context) (done func(), err error) { return place(ctx, c.slots) }

// A rush begins when a post that is due finds no place to be claimed, and ends when nearly all have been called. Meanwhile what can wait
// until after a call waits: processor time spent on it makes the next post late.

func (c *calls) beginRush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rushOver == nil {
		c.rushOver = make(chan struct{})
	}
}

func (c *calls) endRush() {
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

func (c *calls) inRush() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rushOver != nil
}

// afterRush waits until the rush is over, so long at most.
func (c *calls) afterRush(ctx context.Context, atMost time.Duration) {
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

// busy says that half of the slots for calls are taken.
func (c *calls) busy() bool { return 2*len(c.slots) >= cap(c.slots) }
