// Package limiter bounds what is in flight at the same time: for each account, for each user, and in all.
package limiter

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/omni-write/threads/internal/clock"
)

// Limiter bounds what is in flight: so much in all, so much for one user and for one account. One's flood must not stop
// another's post, however many accounts it comes from.
type Limiter struct {
	Total, perUser int // 0: any number
	perAcct        int
	// Farthest is the latest appointment that is given; 0: none is too late. Where places are held for how long a stranger
	// likes, an appointment of an hour would outlast the trouble.
	Farthest time.Duration

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

// New is a limiter of so many places in all, for a user and for an account; 0: any number.
func New(total, perUser, perAccount int) *Limiter {
	return &Limiter{
		Total: total, perUser: perUser, perAcct: perAccount,
		all: inFlight{takes: usualCall}, byUser: map[string]*inFlight{}, byAcct: map[string]*inFlight{},
	}
}

// NewShared is a limiter of places that calls may hold for long: no user has more than half of them, or than one account with
// media and words.
func NewShared(total, perAccount int) *Limiter {
	return New(total, max(total/2, 2*perAccount), perAccount)
}

// usualCall is what a call is thought to take before the first has ended.
const usualCall = 100 * time.Millisecond

// Acquire takes one of the account's places. When all are taken nothing is held, and the caller is told when to come again:
// those who wait get their appointments one after the other, or all would come back together to find one place.
func (c *Limiter) Acquire(user, account string, now time.Time) (again time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u, a := c.byUser[user], c.byAcct[account]
	switch { // in their own line first: it puts nobody else off
	case a.full(c.perAcct):
		return a.appointment(now, c.perAcct, c.Farthest), false
	case u.full(c.perUser):
		return u.appointment(now, c.perUser, c.Farthest), false
	case c.all.full(c.Total):
		return c.all.appointment(now, c.Total, c.Farthest), false
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

// Hold is acquire with the release that goes with it, nil when there is no place. It may be called again.
func (c *Limiter) Hold(user, account string, now func() time.Time) (release func(), again time.Duration) {
	began := now()
	again, ok := c.Acquire(user, account, began)
	if !ok {
		return nil, again
	}
	return sync.OnceFunc(func() { c.Release(user, account, now().Sub(began)) }), 0
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

// Release gives the account's place back.
func (c *Limiter) Release(user, account string, took time.Duration) {
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

// InFlight is how much there is at this moment.
func (c *Limiter) InFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all.n
}
