package threadssim

import "time"

// now is the simulator's time. Everything it decides follows this clock: processing, lags, quotas, tokens, grants. Only
// the latency of answers passes in true time.
func (s *Sim) now() time.Time {
	return s.opts.Now().Add(time.Duration(s.ahead.Load())).UTC()
}

// Now is the simulator's time.
func (s *Sim) Now() time.Time { return s.now() }

// Advance moves the clock, forward as a rule. What already happened keeps its time.
func (s *Sim) Advance(d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setAhead(s.ahead.Load() + int64(d))
}

// SetClock makes it a given moment now; the clock goes on from there.
func (s *Sim) SetClock(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setAhead(int64(t.Sub(s.opts.Now())))
}

// ResetClock comes back to true time.
func (s *Sim) ResetClock() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setAhead(0)
}

// setAhead is remembered, or a restart would find posts from the future. The caller holds the lock.
func (s *Sim) setAhead(ahead int64) error {
	defer s.clockMoved()
	return s.commit(entry{Ahead: &ahead})
}
