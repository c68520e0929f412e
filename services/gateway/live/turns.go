package live

import (
	"context"
	"sync"
	"time"
)

const (
	// replaysAtOnce bounds the readings of the past: each is a consumer on the server, and a restart of a gateway brings all
	// of its clients at once. replaysPerUser is how many of them are one user's.
	replaysAtOnce  = 16
	replaysPerUser = 2
	// replayWithin is how long a client may keep its place. One that is slower comes back, and goes on from where it was.
	replayWithin = time.Minute
)

// turns gives out the places for readings of the past: to each user a few at a time, so that nobody's slow clients hold up all.
type turns struct {
	places chan struct{}

	mu    sync.Mutex
	users map[string]*line
}

// line is a user's own.
type line struct {
	places chan struct{}
	in     int // who has a place or waits
}

func newTurns() *turns {
	return &turns{places: make(chan struct{}, replaysAtOnce), users: map[string]*line{}}
}

// take waits for a place. Meanwhile beat is called now and then, for who waits must not look dead.
func (t *turns) take(ctx context.Context, user string, every time.Duration, beat func() error) (done func(), err error) {
	mine := t.lineOf(user)
	beats := time.NewTicker(every)
	defer beats.Stop()
	if err := await(ctx, mine.places, beats.C, beat); err != nil {
		t.leave(user, mine)
		return nil, err
	}
	if err := await(ctx, t.places, beats.C, beat); err != nil {
		<-mine.places
		t.leave(user, mine)
		return nil, err
	}
	return func() {
		<-t.places
		<-mine.places
		t.leave(user, mine)
	}, nil
}

func (t *turns) lineOf(user string) *line {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.users[user]
	if l == nil {
		l = &line{places: make(chan struct{}, replaysPerUser)}
		t.users[user] = l
	}
	l.in++
	return l
}

func (t *turns) leave(user string, l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.in--; l.in == 0 {
		delete(t.users, user)
	}
}

func await(ctx context.Context, places chan struct{}, beats <-chan time.Time, beat func() error) error {
	for {
		select {
		case places <- struct{}{}:
			return nil
		case <-beats:
			if err := beat(); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
