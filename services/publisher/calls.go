package publisher

import (
	"context"
	"sync"
	"time"
)

// calls bounds the publish calls in flight: so many in this process, so many for one account. One account's flood
// must not stop another's post.
type calls struct {
	claims chan struct{} // posts between their claim and the answer
	slots  chan struct{} // calls

	mu      sync.Mutex
	perAcct int
	flying  map[string]*flight
}

// flight is what an account has in the air, and the line of those that wait for a place.
type flight struct {
	flying int
	next   time.Time     // the appointment of the next who comes
	takes  time.Duration // a call, lately
}

func newCalls(total, perAccount int) *calls {
	return &calls{claims: make(chan struct{}, claimsPerCall*total), slots: make(chan struct{}, total), perAcct: perAccount, flying: map[string]*flight{}}
}

// claimsPerCall is how many posts may be claimed for each call in flight. Claims are made in batches, so a place for a
// call must not stand empty while one is written; but what is claimed when the process dies must be asked for.
const claimsPerCall = 4

// usualCall is what a call is thought to take before the first has ended.
const usualCall = 100 * time.Millisecond

// board takes one of the account's places. When all are taken nothing is held, and the caller is told when to come again:
// those who wait get their appointments one after the other, or all would come back together to find one place.
func (c *calls) board(account string, now time.Time) (again time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.flying[account]
	if f == nil {
		f = &flight{takes: usualCall}
		c.flying[account] = f
	}
	if f.flying < c.perAcct {
		f.flying++
		return 0, true
	}
	f.next = maxTime(f.next, now.Add(f.takes/2)).Add(f.takes / time.Duration(c.perAcct))
	return f.next.Sub(now), false
}

// leave gives the account's place back.
func (c *calls) leave(account string, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.flying[account]
	f.takes = (3*f.takes + min(max(took, time.Millisecond), 5*time.Second)) / 4
	if f.flying--; f.flying == 0 {
		delete(c.flying, account)
	}
}

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
