// Package live gives users what happens to their posts and accounts, as it happens: server-sent events, from one reading
// of EVENTS for all who listen to this process.
package live

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
)

var (
	liveStreams = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "threads_live_streams", Help: "Live streams (server-sent events) that are open.",
	})
	liveEnds = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "threads_live_ends_total", Help: "Live streams that ended, by reason.",
	}, []string{"reason"})
)

// Streams is the one reader of EVENTS in this process, and the listeners to whom it gives what it reads. It reads while
// somebody listens.
type Streams struct {
	bus     *bus.Bus
	log     *zap.Logger
	cfg     StreamsConfig
	now     func() time.Time
	replays *turns

	mu    sync.Mutex
	users map[string]map[*Listener]struct{}
	count int
	// reading is the number of the reading under way; stop ends it and is nil when there is none. A reading that was
	// stopped may still hold a fact in hand, and must not hand it out beside the next one.
	reading int
	stop    context.CancelFunc
	at      place
	born    time.Time
	// closed is closed when the process stops.
	closed chan struct{}
	Close  func()
}

// New makes the live streams of a process. Nothing is read while nobody listens.
func New(cfg StreamsConfig, b *bus.Bus, log *zap.Logger, now func() time.Time) *Streams {
	l := &Streams{
		cfg: cfg, bus: b, log: log, now: now,
		replays: newTurns(),
		users:   map[string]map[*Listener]struct{}{}, closed: make(chan struct{}),
	}
	l.Close = sync.OnceFunc(func() { close(l.closed) })
	return l
}

// Listener is a client's place among the listeners.
type Listener struct {
	User    string
	Account string // only this one's facts; empty: all
	Names   map[string]bool
	queue   chan *frame
	// joined is the last fact before the first that queue will bring. Facts up to after are not handed over: another
	// gateway, whose reading was ahead of ours, has sent them to this client.
	joined place
	after  uint64
	// gone is closed, after why is set, when the listener was dropped.
	gone chan struct{}
	why  string
}

// wants says whether a frame is for this client.
func (l *Listener) wants(f *frame) bool {
	return (l.Account == "" || l.Account == f.account) && (l.Names == nil || l.Names[f.name])
}

// Why a stream ends.
const (
	endSlow     = "slow"
	endReplaced = "events_replaced"
	endStopping = "restarting"
	endExpired  = "token_expired"
	endTrouble  = "unavailable"
	endClient   = "client"
)

// Enter gives the listener its place. From then on everything that happens comes to its queue.
func (h *Streams) Enter(ctx context.Context, l *Listener) error {
	l.queue, l.gone = make(chan *frame, h.cfg.LiveBuffer), make(chan struct{})
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.closed:
		return events.Faultf(events.Unavailable, "This part is just restarting; please try again in a moment.").After(time.Second)
	default:
	}
	switch {
	case len(h.users[l.User]) >= h.cfg.LiveStreamsPerUser:
		return events.Faultf(events.RateLimited, "You have %d live streams open here; close one before you open another.", h.cfg.LiveStreamsPerUser).
			After(10 * time.Second)
	case h.count >= h.cfg.LiveStreams:
		return events.Faultf(events.Unavailable, "There are more live streams than we can take on; please try again shortly.").
			After(10 * time.Second)
	}
	if h.users[l.User] == nil {
		h.users[l.User] = map[*Listener]struct{}{}
	}
	h.users[l.User][l] = struct{}{} // before anything is asked: the place is taken
	h.count++
	if err := h.begin(ctx); err != nil {
		h.drop(l, "")
		return err
	}
	if _, still := h.users[l.User][l]; !still {
		return events.Faultf(events.Unavailable, "This part is just restarting; please try again in a moment.").After(time.Second)
	}
	l.joined = h.at
	return nil
}

// begin begins to read, unless somebody does. The caller holds the lock, which is let go while the server is asked.
func (h *Streams) begin(ctx context.Context) error {
	if h.stop != nil {
		return nil
	}
	h.mu.Unlock()
	extent, err := h.bus.Holds(ctx)
	h.mu.Lock()
	if err != nil {
		h.log.Warn("cannot open a live stream", zap.Error(err))
		return events.Faultf(events.Unavailable, "We cannot tell you what happens at the moment; please try again shortly.").
			After(2 * time.Second)
	}
	if h.stop != nil { // somebody else was faster
		return nil
	}
	h.reading++
	h.at, h.born = placeOn(extent.Born, extent.Last), extent.Born
	reading, stop := context.WithCancel(context.Background())
	h.stop = stop
	go h.read(reading, h.reading, extent.Last)
	return nil
}

// leave gives the listener's place back. The last one ends the reading.
func (h *Streams) leave(l *Listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(l, "")
}

// drop takes a listener away. The caller holds the lock.
func (h *Streams) drop(l *Listener, why string) {
	mine := h.users[l.User]
	if _, there := mine[l]; !there {
		return
	}
	delete(mine, l)
	if len(mine) == 0 {
		delete(h.users, l.User)
	}
	h.count--
	if l.why = why; why != "" {
		close(l.gone)
	}
	if h.count == 0 && h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

// rereadAfter is the pause after the server was away.
const rereadAfter = 250 * time.Millisecond

// read reads EVENTS from a place to the end of ctx. When NATS was away it goes on where it was: listeners notice nothing.
func (h *Streams) read(ctx context.Context, reading int, after uint64) {
	for ctx.Err() == nil {
		err := h.bus.Follow(ctx, after, []string{events.EveryFact}, func(f bus.StoredEvent) error {
			after = f.Sequence
			return h.hand(reading, f)
		})
		if ctx.Err() != nil || errors.Is(err, errStale) {
			return
		}
		h.log.Warn("live streams wait for NATS", zap.Error(err))
		if !clock.Sleep(ctx, rereadAfter) {
			return
		}
		extent, err := h.bus.Holds(ctx)
		if err == nil && h.replaced(reading, extent) {
			return
		}
	}
}

var errStale = errors.New("another reading has begun")

// hand gives a fact to those of its user's listeners who want it. Nobody is waited for: whose queue is full is dropped,
// and comes back from where it was.
func (h *Streams) hand(reading int, f bus.StoredEvent) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if reading != h.reading || h.stop == nil {
		return errStale
	}
	h.at.sequence = f.Sequence
	mine := h.users[events.OwnerOf(f.Body)]
	if len(mine) == 0 {
		return nil
	}
	told := frameOf(h.born, f)
	for l := range mine {
		if !l.wants(told) {
			continue
		}
		select {
		case l.queue <- told:
		default:
			h.drop(l, endSlow)
		}
	}
	return nil
}

// replaced sends everybody away when EVENTS is not the stream that was read: what they know of places is worth nothing.
// They come back, and hear that they must read anew.
func (h *Streams) replaced(reading int, extent bus.Extent) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if reading != h.reading || h.stop == nil {
		return true
	}
	if placeOn(extent.Born, 0).born == h.at.born && extent.Last >= h.at.sequence {
		return false
	}
	h.log.Warn("EVENTS was replaced; live streams begin anew")
	for _, mine := range h.users {
		for l := range mine {
			h.drop(l, endReplaced)
		}
	}
	return true
}

// idle is the place up to which the client knows everything, provided that it holds nothing unwritten and its queue is
// empty. No fact can come between the two looks, because hand takes the same lock.
func (h *Streams) idle(l *Listener) (place, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(l.queue) > 0 || h.at.sequence < l.after {
		return place{}, false
	}
	return h.at, true
}
