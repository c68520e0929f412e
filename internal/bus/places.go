package bus

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/omni-write/threads/events"
)

// Bounds is how many questions of one kind a process works on at once. Every kind has places of its own, so one that is
// slow takes none from another, and a user has few of them, so one who asks much takes none from others.
type Bounds struct {
	AtOnce  int // 0: 256
	PerUser int // of those, for one user; 0: 4
	Waiting int // how many more of one user may wait for their turn; who asks yet more is refused. 0: 60
}

func (b Bounds) orDefaults() Bounds {
	return Bounds{cmp.Or(b.AtOnce, 256), cmp.Or(b.PerUser, 4), cmp.Or(b.Waiting, 60)}
}

// places are the places of one kind of question.
type places struct {
	bounds Bounds
	all    chan struct{}

	mu    sync.Mutex
	users map[string]*userPlaces
}

type userPlaces struct {
	places chan struct{}
	asked  int // at work or waiting
}

func newPlaces(b Bounds) *places {
	b = b.orDefaults()
	return &places{bounds: b, all: make(chan struct{}, b.AtOnce), users: map[string]*userPlaces{}}
}

// take waits for a place until ctx ends, in the user's own line first. A user whose line is full is refused. Questions of
// nobody in particular have only the places of the kind.
func (p *places) take(ctx context.Context, user string) (leave func(), err error) {
	leaveOwn := func() {}
	if user != "" {
		if leaveOwn, err = p.takeOwn(ctx, user); err != nil {
			return nil, err
		}
	}
	if err := place(ctx, p.all); err != nil {
		leaveOwn()
		return nil, err
	}
	return func() { <-p.all; leaveOwn() }, nil
}

func (p *places) takeOwn(ctx context.Context, user string) (leave func(), err error) {
	u := p.enter(user)
	if u == nil {
		most := p.bounds.PerUser + p.bounds.Waiting
		return nil, events.Faultf(events.RateLimited,
			"You have %d requests of this kind open, which is as many as are taken; please wait for some of them to end.", most).After(time.Second)
	}
	if err := place(ctx, u.places); err != nil {
		p.exit(user, u)
		return nil, err
	}
	return func() { <-u.places; p.exit(user, u) }, nil
}

// enter counts a question of the user's; nil when there are too many.
func (p *places) enter(user string) *userPlaces {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.users[user]
	switch {
	case u == nil:
		u = &userPlaces{places: make(chan struct{}, p.bounds.PerUser)}
		p.users[user] = u
	case u.asked >= p.bounds.PerUser+p.bounds.Waiting:
		return nil
	}
	u.asked++
	return u
}

func (p *places) exit(user string, u *userPlaces) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u.asked--; u.asked == 0 {
		delete(p.users, user)
	}
}

// place takes one of the places, or says that ctx ended before.
func place(ctx context.Context, places chan struct{}) error {
	if ctx.Err() != nil { // of two that are ready, select takes either
		return ctx.Err()
	}
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
