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
	"golang.org/x/sync/semaphore"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
)

// HandleOptions bounds the work of one process.
type HandleOptions struct {
	Concurrency       int           // messages in hand at once; 0: 16
	Bytes             int64         // of the bodies of those; a larger one is in hand by itself; 0: 32 MiB
	Prefetch          int           // messages fetched ahead; 0: Concurrency
	CommandDeliveries uint64        // after so many failures that are no outage a command becomes a dead letter; 0: 20
	CommandLimit      time.Duration // how long the handler of a command may take; 0: 30 s
	Drain             time.Duration // how long those in hand may take after the end of ctx; 0: 20 s
}

func (o HandleOptions) orDefaults() HandleOptions {
	if o.Concurrency == 0 {
		o.Concurrency = 16
	}
	if o.Bytes == 0 {
		o.Bytes = 32 << 20
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
	c := &consumer{
		bus: b, stream: stream, durable: durable, handlers: h, options: o,
		slots: make(chan struct{}, o.Concurrency), bytes: semaphore.NewWeighted(o.Bytes), held: map[jetstream.Msg]time.Time{},
	}
	for ctx.Err() == nil {
		err := c.read(ctx)
		switch {
		case ctx.Err() != nil:
		case b.nc.IsClosed():
			return fmt.Errorf("read messages of %s: %w", durable, errClosed)
		case err != nil:
			b.problems.Store(durable, err)
			b.log.Error("cannot read messages; trying again", zap.String("consumer", durable), zap.Error(err))
			clock.Sleep(ctx, time.Second)
		}
	}
	b.problems.Delete(durable)
	c.finish()
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

// consumer reads the messages of one durable for one process, and holds those that its handlers work on.
type consumer struct {
	bus             *Bus
	stream, durable string
	handlers        *Handlers
	options         HandleOptions
	slots           chan struct{}
	bytes           *semaphore.Weighted
	busy            sync.WaitGroup

	mu   sync.Mutex
	held map[jetstream.Msg]time.Time // since when

	returned bool // at the end, what was still being handled was given back

	failures failures
}

// read hands out messages until ctx ends or the durable cannot be read.
func (c *consumer) read(ctx context.Context) error {
	lookUp, cancel := context.WithTimeout(ctx, lookUpWithin)
	durable, err := c.bus.js.Consumer(lookUp, c.stream, c.durable)
	cancel()
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("stream %s with durable %s is not there (run `go run . migrate`): %w", c.stream, c.durable, err)
	}
	if err != nil {
		return fmt.Errorf("find durable %s: %w", c.durable, err)
	}
	messages, err := durable.Messages(Pulls(c.options.Prefetch)...)
	if err != nil {
		return fmt.Errorf("read durable %s: %w", c.durable, err)
	}
	defer c.giveBack(messages)
	c.bus.problems.Delete(c.durable)
	beat := durable.CachedInfo().Config.AckWait / 3
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go c.watch(watching, durable)
	for {
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err == nil {
			size := min(int64(len(m.Data())), c.options.Bytes)
			if c.bytes.Acquire(ctx, size) != nil { // told to stop
				_ = m.Nak()
				<-c.slots
				return nil
			}
			c.hold(m)
			c.busy.Go(func() {
				defer func() { c.bytes.Release(size); <-c.slots }()
				defer c.release(m)
				c.handle(ctx, m, beat)
			})
			continue
		}
		<-c.slots
		if ctx.Err() != nil {
			return nil
		}
		// No heartbeat: the server was away, and the iterator would go on by itself; but nobody says when the durable went
		// away with it. Looking it up again shows.
		if errors.Is(err, jetstream.ErrNoHeartbeat) {
			c.bus.log.Warn("no word from the server for a while; looking again", zap.String("consumer", c.durable))
			return nil
		}
		return err
	}
}

// giveBack ends the reading. Messages that were fetched ahead go back at once, or they would lie here until AckWait ends.
func (c *consumer) giveBack(messages jetstream.MessagesContext) {
	messages.Drain()
	for {
		m, err := messages.Next(jetstream.NextMaxWait(c.bus.patience))
		if err != nil {
			return
		}
		_ = m.Nak() // if it does not get through, AckWait does the same
	}
}

func (c *consumer) hold(m jetstream.Msg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held[m] = time.Now()
}

func (c *consumer) release(m jetstream.Msg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.held, m)
}

// finish waits for the messages in hand, so long. Then it gives them back: whoever takes them looks at the row, and finds
// that somebody is at work there.
func (c *consumer) finish() {
	done := make(chan struct{})
	go func() { c.busy.Wait(); close(done) }()
	limit := time.NewTimer(c.options.Drain)
	defer limit.Stop()
	select {
	case <-done:
		return
	case <-limit.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.returned = true
	for m := range c.held {
		_ = m.Nak()
	}
	c.bus.log.Warn("messages left in hand; another process takes them", zap.String("consumer", c.durable), zap.Int("messages", len(c.held)))
	if err := c.bus.nc.FlushTimeout(time.Second); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		c.bus.log.Warn("give messages back", zap.Error(err))
	}
}
