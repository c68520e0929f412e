package publisher

import (
	"context"
	"sync"
)

// calls bounds the publish calls in flight: so many in this process, so many for one account. One account's flood
// must not stop another's post.
type calls struct {
	slots chan struct{}

	mu      sync.Mutex
	perAcct int
	flying  map[string]int
}

func newCalls(total, perAccount int) *calls {
	return &calls{slots: make(chan struct{}, total), perAcct: perAccount, flying: map[string]int{}}
}

// board takes one of the account's places; false when all are taken, and then nothing is held.
func (c *calls) board(account string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flying[account] >= c.perAcct {
		return false
	}
	c.flying[account]++
	return true
}

// leave gives the account's place back.
func (c *calls) leave(account string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flying[account]--; c.flying[account] == 0 {
		delete(c.flying, account)
	}
}

// start waits for one of the process's places; the returned function gives it back.
func (c *calls) start(ctx context.Context) (done func(), err error) {
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
