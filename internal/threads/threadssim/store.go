package threadssim

import (
	"sync"
	"time"
)

// store is everything the simulated Threads knows. One mutex guards it all, the knobs and the dice of its accounts
// included: a call is decided in one step, and every step is a few map operations. Its methods expect the caller to hold
// the lock; close takes it itself. Other locks are taken under this one, never around it.
type store struct {
	clock *simClock
	start Knobs // those a reset comes back to
	// announce is told of every change as it happens, under the lock.
	announce func(entry)

	mu sync.Mutex
	state
	journal *journal
}

// state is everything that a reset forgets.
type state struct {
	ids        ids
	users      map[string]*user
	byName     map[string]*user
	tokens     map[digest]*token
	codes      map[digest]*code
	containers map[string]*container
	media      map[string]*media
	byShort    map[string]*media
	order      []*media     // in the order of their commits
	built      []*container // in the order of their creation
	layers     knobLayers
	appCalls   hourly
	hooks      []*hook
	callbacks  callbacks
}

func (s *store) forget(seed uint64) {
	s.state = state{
		users:      map[string]*user{},
		byName:     map[string]*user{},
		tokens:     map[digest]*token{},
		codes:      map[digest]*code{},
		containers: map[string]*container{},
		media:      map[string]*media{},
		byShort:    map[string]*media{},
		layers:     newKnobLayers(s.start, seed),
	}
}

// reset forgets all, on the journal too, and comes back to the clock, the knobs and the seed of the start.
func (s *store) reset(seed uint64) error {
	if s.journal != nil {
		if err := s.journal.empty(); err != nil {
			return err
		}
	}
	s.clock.ahead.Store(0)
	s.forget(seed)
	return nil
}

// close ends the journal: whatever would change something is refused afterwards.
func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal == nil {
		return nil
	}
	return s.journal.close()
}

func (s *store) now() time.Time { return s.clock.now() }
