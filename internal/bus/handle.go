package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
)

// HandleOptions bounds the work of one process.
type HandleOptions struct {
	Concurrency       int           // messages in hand at once; 0: 16
	Prefetch          int           // messages fetched ahead; 0: Concurrency
	CommandDeliveries uint64        // after so many failures that are no outage a command is set aside; 0: 20
	CommandLimit      time.Duration // how long the handler of a command may take; 0: 30 s
	Drain             time.Duration // how long those in hand may take after the end of ctx; 0: 20 s
}

func (o HandleOptions) orDefaults() HandleOptions {
	if o.Concurrency == 0 {
		o.Concurrency = 16
	}
	if o.Prefetch == 0 {
		o.Prefetch = o.Concurrency
	}
	if o.CommandDeliveries == 0 {
		o.CommandDeliveries = 20
	}
	if o.CommandLimit == 0 {
		o.CommandLimit = 30 * time.Second
	}
	if o.Drain == 0 {
		o.Drain = 20 * time.Second
	}
	return o
}

// Handle gives the messages of a durable to their handlers until ctx ends; then it takes no more and finishes those in
// hand. What it has not finished in time, or not begun, goes back to the server at once for another process. The value
// that a handler returns decides what becomes of its message (verdict.go).
//
// A durable that is missing is waited for, loudly: declaring is not a service's business.
func (b *Bus) Handle(ctx context.Context, durable string, h *Handlers, o HandleOptions) error {
	o = o.orDefaults()
	stream, err := streamOf(durable)
	if err != nil {
		return err
	}
	hands := &hands{
		bus: b, stream: stream, durable: durable, handlers: h, options: o,
		slots: make(chan struct{}, o.Concurrency), held: map[jetstream.Msg]time.Time{},
	}
	for ctx.Err() == nil {
		err := hands.read(ctx)
		switch {
		case ctx.Err() != nil:
		case b.nc.IsClosed():
			return fmt.Errorf("read messages of %s: %w", durable, errClosed)
		case err != nil:
			b.troubles.Store(durable, err)
			b.log.Error("cannot read messages; trying again", zap.String("consumer", durable), zap.Error(err))
			pause(ctx, time.Second)
		}
	}
	b.troubles.Delete(durable)
	hands.finish()
	return nil
}

func streamOf(durable string) (string, error) {
	for _, d := range events.Durables() {
		if d.Config.Durable == durable {
			return d.Stream, nil
		}
	}
	return "", fmt.Errorf("no durable is named %s", durable)
}

// hands are the messages that one process has in hand.
type hands struct {
	bus             *Bus
	stream, durable string
	handlers        *Handlers
	options         HandleOptions
	slots           chan struct{}
	busy            sync.WaitGroup

	mu   sync.Mutex
	held map[jetstream.Msg]time.Time // since when

	given bool // at the end, what was still in hand was given back

	failures failures
}

// read hands out messages until ctx ends or the durable cannot be read.
func (h *hands) read(ctx context.Context) error {
	lookUp, cancel := context.WithTimeout(ctx, lookUpWithin)
	consumer, err := h.bus.js.Consumer(lookUp, h.stream, h.durable)
	cancel()
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("stream %s with durable %s is not there (run `go run . migrate`): %w", h.stream, h.durable, err)
	}
	if err != nil {
		return fmt.Errorf("find durable %s: %w", h.durable, err)
	}
	messages, err := consumer.Messages(Pulls(h.options.Prefetch)...)
	if err != nil {
		return fmt.Errorf("read durable %s: %w", h.durable, err)
	}
	defer h.giveBack(messages)
	h.bus.troubles.Delete(h.durable)
	beat := consumer.CachedInfo().Config.AckWait / 3
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go h.watch(watching, consumer)
	for {
		select {
		case h.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err == nil {
			h.hold(m)
			h.busy.Go(func() {
				defer func() { <-h.slots }()
				defer h.release(m)
				h.handle(ctx, m, beat)
			})
			continue
		}
		<-h.slots
		if ctx.Err() != nil {
			return nil
		}
		// No heartbeat: the server was away, and the iterator would go on by itself; but nobody says when the durable went
		// away with it. Looking it up again tells.
		if errors.Is(err, jetstream.ErrNoHeartbeat) {
			h.bus.log.Warn("no word from the server for a while; looking again", zap.String("consumer", h.durable))
			return nil
		}
		return err
	}
}

// giveBack ends the reading. Messages that were fetched ahead go back at once, or they would lie here until AckWait ends.
func (h *hands) giveBack(messages jetstream.MessagesContext) {
	messages.Drain()
	for {
		m, err := messages.Next(jetstream.NextMaxWait(h.bus.patience))
		if err != nil {
			return
		}
		_ = m.Nak() // if it does not get through, AckWait does the same
	}
}

func (h *hands) hold(m jetstream.Msg) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held[m] = time.Now()
}

func (h *hands) release(m jetstream.Msg) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.held, m)
}

// finish waits for the messages in hand, so long. Then it gives them back: whoever takes them looks at the row, and finds
// that somebody is at work there.
func (h *hands) finish() {
	done := make(chan struct{})
	go func() { h.busy.Wait(); close(done) }()
	limit := time.NewTimer(h.options.Drain)
	defer limit.Stop()
	select {
	case <-done:
		return
	case <-limit.C:
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.given = true
	for m := range h.held {
		_ = m.Nak()
	}
	h.bus.log.Warn("messages left in hand; another process takes them", zap.String("consumer", h.durable), zap.Int("messages", len(h.held)))
	if err := h.bus.nc.FlushTimeout(time.Second); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		h.bus.log.Warn("give messages back", zap.Error(err))
	}
}
