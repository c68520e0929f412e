package delivery

import (
	"context"
	"sync"

	"github.com/omni-write/threads/internal/limiter"
)

// calls bounds the publish calls in flight.
type calls struct {
	*limiter.Limiter               // an account's posts from their hour to the answer
	claims           chan struct{} // posts between their claim and the answer
	slots            chan struct{} // calls
}

func newCalls(total, perUser, perAccount int) *calls {
	return &calls{Limiter: limiter.New(0, perUser, perAccount), claims: make(chan struct{}, claimsPerCall*total), slots: make(chan struct{}, total)}
}

// claimsPerCall is how many posts may be claimed for each call in flight. Claims are made in batches, so a place for a
// call must not stand empty while one is written; but what is claimed when the process dies must be asked for.
const claimsPerCall = 4

// claim waits until one more post may be claimed, start until one more call may be made. The returned function gives the
// place back, once.
func (c *calls) claim(ctx context.Context) (done func(), err error) { return place(ctx, c.claims) }
func (c *calls) start(ctx context.Context) (done func(), err error) { return place(ctx, c.slots) }

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
