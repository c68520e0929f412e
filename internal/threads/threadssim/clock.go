package threadssim

import (
	"sync/atomic"
	"time"
)

// simClock is the simulator's time. Everything it decides follows this clock: processing, lags, quotas, tokens, grants. Only
// the latency of answers passes in true time. It may be read without a lock.
type simClock struct {
	base  func() time.Time // the true time
	ahead atomic.Int64     // how far this clock is ahead of it, in nanoseconds
}

func (c *simClock) now() time.Time {
	return c.base().Add(time.Duration(c.ahead.Load())).UTC()
}

// Now is the simulator's time.
func (s *Sim) Now() time.Time { return s.store.now() }

// Advance moves the clock, forward as a rule. What already happened keeps its time.
func (s *Sim) Advance(d time.Duration) error {
	return s.setAhead(func(ahead int64) int64 { return ahead + int64(d) })
}

// SetClock makes it a given moment now; the clock goes on from there.
func (s *Sim) SetClock(t time.Time) error {
	return s.setAhead(func(int64) int64 { return int64(t.Sub(s.opts.Now())) })
}

// ResetClock comes back to true time.
func (s *Sim) ResetClock() error {
	return s.setAhead(func(int64) int64 { return 0 })
}

// setAhead is remembered, or a restart would find posts from the future.
func (s *Sim) setAhead(becomes func(ahead int64) int64) error {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	defer s.sender.clockMoved()
	ahead := becomes(s.store.clock.ahead.Load())
	return s.store.commit(entry{Ahead: &ahead})
}
