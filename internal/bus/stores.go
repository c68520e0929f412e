package bus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var storesNothing = promauto.NewGaugeVec(prometheus.GaugeOpts{
	Name: "threads_stream_stores_nothing",
	Help: "1 while a stream has stored nothing of what this process sent to it.",
}, []string{"stream"})

// stores is what a process knows of the storing of streams.
type stores struct {
	mu sync.Mutex
	of map[string]*store
}

type store struct {
	last   time.Time // when something of ours was stored last
	since  time.Time // zero: it stores; else when the first was sent that was not stored
	why    error
	known  uint64          // up to which sequence it is known to be filled
	proven bool            // tries say so, and the stream answers all the same
	stuck  context.Context // ends when it becomes proven
	end    context.CancelFunc
	doubts chan struct{}
	// How many tries were worked off and not stored, when the second of them had left (one may be an error that passes), and how often the
	// connection had been made anew by then.
	losses     int
	lostAt     time.Time
	reconnects uint64
}

// StoresNothingError says that a stream stores nothing of what is sent to it.
type StoresNothingError struct {
	Stream string
	Since  time.Time
	Why    error
}

func (e *StoresNothingError) Error() string {
	return fmt.Sprintf("%s has stored nothing since %s (%v); is NATS' disk full, or was it? Make room, then restart that nats-server: it keeps the error until then",
		e.Stream, e.Since.UTC().Format(time.RFC3339), e.Why)
}

func (e *StoresNothingError) Unwrap() error { return e.Why }

func (s *stores) get(stream string) *store {
	if s.of == nil {
		s.of = map[string]*store{}
	}
	if s.of[stream] == nil {
		one := &store{doubts: make(chan struct{}, 1)}
		one.stuck, one.end = context.WithCancel(context.Background())
		s.of[stream] = one
	}
	return s.of[stream]
}

// stored notes that a stream has said just now that it stored something. Of what it had stored before, that says so only where nobody
// heard it then.
func (s *stores) stored(stream string, ack *jetstream.PubAck, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.get(stream)
	if ack.Duplicate && ack.Sequence <= one.known {
		return
	}
	one.known = max(one.known, ack.Sequence)
	s.well(stream, now)
}

// well ends every doubt about a stream.
func (s *stores) well(stream string, now time.Time) {
	one := s.get(stream)
	one.last, one.since, one.why, one.losses = now, time.Time{}, nil, 0
	one.setProven(false)
	storesNothing.WithLabelValues(stream).Set(0)
}

// failed notes that nobody said that something was stored which was sent at a time, unless what came later was.
func (s *stores) failed(stream string, sent time.Time, why error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.get(stream)
	if one.last.After(sent) {
		return why
	}
	if one.since.IsZero() {
		one.since = sent
		one.suspect()
	}
	one.why = why
	storesNothing.WithLabelValues(stream).Set(1)
	return &StoresNothingError{stream, one.since, why}
}

func (one *store) suspect() {
	select {
	case one.doubts <- struct{}{}:
	default:
	}
}

func (one *store) setProven(proven bool) {
	switch {
	case proven && !one.proven:
		one.end()
	case !proven && one.proven:
		one.stuck, one.end = context.WithCancel(context.Background())
	}
	one.proven = proven
}

// suspectAfter has a stream tried when an answer of its is not there in a while, until it is called off.
func (s *stores) suspectAfter(stream string) (off func() bool) {
	return time.AfterFunc(answersWithin, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.get(stream).suspect()
	}).Stop
}

// lost notes that a try was worked off and not stored, which had left by a time.
func (s *stores) lost(stream string, left time.Time, reconnects uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.get(stream)
	if one.losses++; one.losses == 2 {
		one.lostAt, one.reconnects = left, reconnects
	}
}

// lostBefore reports whether tries that had left before a time, over the connection that there still is, have proven that nothing is stored.
func (s *stores) lostBefore(stream string, since time.Time, reconnects uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.get(stream)
	return one.losses >= 2 && since.After(one.lostAt) && one.reconnects == reconnects
}

// stuck ends when it is known that a stream stores nothing.
func (s *stores) stuck(stream string) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(stream).stuck
}

// doubt is told when a stream is to be tried: it did not store something, or lets its answer wait.
func (s *stores) doubt(stream string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(stream).doubts
}

// prove notes whether tries say that a stream stores nothing.
func (s *stores) prove(stream string, proven bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.get(stream)
	one.setProven(proven && !one.since.IsZero())
}

// refuses reports whether it is known that a stream stores nothing.
func (s *stores) refuses(stream string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[stream] != nil && s.of[stream].proven
}

// idle reports whether nothing says that a stream has stored of late.
func (s *stores) idle(stream string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.get(stream)
	return !one.since.IsZero() || now.Sub(one.last) >= probeEvery
}

// err names a stream that stores nothing.
func (s *stores) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for stream, one := range s.of {
		if !one.since.IsZero() {
			return &StoresNothingError{stream, one.since, one.why}
		}
	}
	return nil
}

// reaches notes up to which sequence a stream is filled now. One that reaches further than was known before it was doubted stores, for
// whomever: what was doubted may have been stored after all, and then nobody sends it again.
func (s *stores) reaches(stream string, sequence uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.get(stream)
	if !one.since.IsZero() && sequence > one.known {
		s.well(stream, now)
	}
	one.known = sequence // lower than before when the stream was made anew
}

// noteStoring notes what the answer to a message that was sent at a time says of the storing of its stream.
func (b *Bus) noteStoring(stream string, sent time.Time, ack *jetstream.PubAck, err error) {
	switch {
	case err == nil:
		b.stores.stored(stream, ack, b.now())
	case storingOf(err) == unsure && b.nc.IsConnected():
		_ = b.stores.failed(stream, sent, err)
	}
}
