package edge

import "sync"

// client is whom something is charged to: a user, or the address of whoever is not signed in.
type client struct {
	key      string
	signedIn bool
}

// shares divides what is scarce, places or bytes, among clients, so that none of them stops the others. Half is for the
// signed in alone. One client may have its share, and more only while little is taken.
type shares struct {
	most, each int64

	mu                sync.Mutex
	signedIn, unknown int64 // taken
	by                map[client]int64
}

// partsOfOne is which part of everything one client's share is.
const partsOfOne = 16

// newShares divides most. No share is less than floor.
func newShares(most, floor int64) *shares {
	return &shares{most: most, each: max(floor, most/partsOfOne), by: map[client]int64{}}
}

// verdict is what becomes of who wants something.
type verdict int

const (
	granted  verdict = iota
	ownFull          // the client has its share already
	allTaken         // whoever it was
)

// take takes n for a client, or says why not.
func (s *shares) take(who client, n int64) verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken, most, free := &s.unknown, s.most/2, s.most/8
	if who.signedIn {
		taken, most, free = &s.signedIn, s.most, s.most/4
	}
	switch {
	case s.signedIn+s.unknown+n > s.most || *taken+n > most:
		return allTaken
	case s.by[who]+n > s.each && *taken+n > free:
		return ownFull
	}
	*taken += n
	s.by[who] += n
	return granted
}

// give gives n back.
func (s *shares) give(who client, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if who.signedIn {
		s.signedIn -= n
	} else {
		s.unknown -= n
	}
	if s.by[who] -= n; s.by[who] == 0 {
		delete(s.by, who)
	}
}
