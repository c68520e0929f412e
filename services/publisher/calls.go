// Package limiter bounds what is in flight at the same time, for each account, for each user and in all.
package publisher

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/omni-write/threads/internal/clock"
)

// limiter bounds what is in flight: so much in all, so much for one user and for one account. One's flood must not stop
// another's post, however many accounts it comes from.
type limiter struct {
	total, perUser int // 0: any number
	perAcct        int
	// farthest is the latest appointment that is given; 0: none is too late. Where places are held for how long a stranger
	// likes, an appointment of an hour would outlast the trouble.
	farthest time.Duration

	mu             sync.Mutex
	all            inFlight
	byUser, byAcct map[string]*inFlight
}

// inFlight is how many calls are, and the line of those that wait for a place.
type inFlight struct {
	n     int
	next  time.Time     // the appointment of the next who comes
	takes time.Duration // a call, lately
}

func newLimiter(total, perUser, perAccount int) *limiter {
	return &limiter{
		total: total, perUser: perUser, perAcct: perAccount,
		all: inFlight{takes: usualCall}, byUser: map[string]*inFlight{}, byAcct: map[string]*inFlight{},
	}
}

// newShared is a limiter of places that calls may hold for long: no user has more than half of them, or than one account with
// media and words.
func newShared(total, perAccount int) *limiter {
	return newLimiter(total, max(total/2, 2*perAccount), perAccount)
}

// usualCall is what a call is thought to take before the first has ended.
const usualCall = 100 * time.Millisecond

// acquire takes one of the account's places. When all are taken nothing is held, and the caller is told when to come again:
// those who wait get their appointments one after the other, or all would come back together to find one place.
func (c *limiter) acquire(user, account string, now time.Time) (again time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u, a := c.byUser[user], c.byAcct[account]
	switch { // in their own line first: it puts nobody else off
	case a.full(c.perAcct):
		return a.appointment(now, c.perAcct, c.farthest), false
	case u.full(c.perUser):
		return u.appointment(now, c.perUser, c.farthest), false
	case c.all.full(c.total):
		return c.all.appointment(now, c.total, c.farthest), false
	}
	c.all.n++
	begin(c.byUser, user)
	begin(c.byAcct, account)
	return 0, true
}

func begin(lines map[string]*inFlight, whose string) {
	if lines[whose] == nil {
		lines[whose] = &inFlight{takes: usualCall}
	}
	lines[whose].n++
}

// hold is acquire with the release that goes with it, nil when there is no place. It may be called again.
func (c *limiter) hold(user, account string, now func() time.Time) (release func(), again time.Duration) {
	began := now()
	again, ok := c.acquire(user, account, began)
	if !ok {
		return nil, again
	}
	return sync.OnceFunc(func() { c.release(user, account, now().Sub(began)) }), 0
}

func (f *inFlight) full(most int) bool { return f != nil && most > 0 && f.n >= most }

func (f *inFlight) appointment(now time.Time, places int, farthest time.Duration) time.Duration {
	f.next = clock.Latest(f.next, now.Add(f.takes/2)).Add(f.takes / time.Duration(places))
	wait := f.next.Sub(now)
	if farthest > 0 && wait > farthest {
		f.next = now.Add(farthest)
		return farthest/2 + rand.N(farthest/2) //nolint:gosec // spreads tries, guards nothing
	}
	return wait
}

// release gives the account's place back.
func (c *limiter) release(user, account string, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all.ended(took)
	end(c.byUser, user, took)
	end(c.byAcct, account, took)
}

func end(lines map[string]*inFlight, whose string, took time.Duration) {
	lines[whose].ended(took)
	if lines[whose].n == 0 {
		delete(lines, whose)
	}
}

func (f *inFlight) ended(took time.Duration) {
	f.takes = (3*f.takes + min(max(took, time.Millisecond), 5*time.Second)) / 4
	f.n--
}

// calls bounds the publish calls in flight.
type calls struct {
	*limiter               // an account's posts from their hour to the answer
	claims   chan struct{} // posts between their claim and the answer
	slots    chan struct{} // calls
}

func newCalls(total, perUser, perAccount int) *calls {
	return &calls{limiter: newLimiter(0, perUser, perAccount), claims: make(chan struct{}, claimsPerCall*total), slots: make(chan struct{}, total)}
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
