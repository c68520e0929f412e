package publisher

import (
	"context"
	"sync"
	"time"
)

// calls bounds the publish calls in flight: so many in this process, so many for one account. One account's flood
// must not stop another's post.
type calls struct {
	slots chan struct{}

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
	return &calls{slots: make(chan struct{}, total), perAcct: perAccount, flying: map[string]*flight{}}
}

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

// start waits for one of the process's places; the returned function gives it back, once.
func (c *calls) start(ctx context.Context) (done func(), err error) {
	select {
	case c.slots <- struct{}{}:
		return sync.OnceFunc(func() { <-c.slots }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
