package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/wire"
)

// handle takes one message from its delivery to its ack.
func (c *consumer) handle(ctx context.Context, m jetstream.Msg, beat time.Duration) {
	d := c.delivery(m)
	began := time.Now()
	pulse := keepAlive(m, beat)
	isCommand := d.Stream == events.StreamCommands
	handling, span := beginHandling(causedBy(ctx, d.Meta), d)
	limited, cancel := handling, func() {}
	if isCommand {
		limited, cancel = context.WithTimeout(handling, c.options.CommandLimit)
	}
	result, err := c.call(limited, d, m.Data())
	if isCommand && limited.Err() != nil && ctx.Err() == nil {
		err = outOfTime(err)
	}
	cancel()
	v := decide(ctx, err, d.Deliveries)
	if v.failed {
		v = c.decideFailed(d, err, v)
	}
	if v.action == actionDeadLetter {
		v = c.storeDeadLetter(m, d, err, v)
	}
	if v.action != actionNak {
		c.failures.forget(d.Sequence)
	}
	pulse.stop()
	if isCommand && !v.pending && (v.action == actionAck || v.action == actionDeadLetter) {
		c.reply(d, v, result)
	}
	// A message that the drain gave back meanwhile is the next process's.
	if err := c.ack(m, v); err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		c.bus.log.Warn("ack not sent; the message comes again", zap.String("msg_id", d.Meta.ID), zap.Error(err))
	}
	took := time.Since(began)
	endHandling(span, v, err)
	handleSeconds.WithLabelValues(c.durable, v.outcome()).Observe(took.Seconds())
	c.log(handling, d, v, isCommand, err, took)
}

// outOfTime is what becomes of a command whose time was over: what it had to wait for is away, and it comes again. What the
// handler had decided stands.
func outOfTime(err error) error {
	var again later
	var f *events.Fault
	if err == nil || errors.Is(err, Pending) || errors.As(err, &again) || errors.As(err, &f) {
		return err
	}
	return fmt.Errorf("%w: %w", events.Faultf(events.Unavailable, "This took too long; it is tried again."), err)
}

func (c *consumer) delivery(m jetstream.Msg) Delivery {
	d := Delivery{Meta: MetaOf(m.Headers()), Subject: m.Subject(), Stream: c.stream, Consumer: c.durable, Deliveries: 1, Due: dueOf(m.Headers())}
	if meta, err := m.Metadata(); err == nil {
		d.Sequence, d.Deliveries = meta.Sequence.Stream, meta.NumDelivered
	}
	return d
}

// call calls the handler; a panic is logged, and an error like any other.
func (c *consumer) call(ctx context.Context, d Delivery, body []byte) (result any, err error) {
	defer c.caught(d, &err)
	return c.handlers.call(ctx, d, body)
}

func (c *consumer) caught(d Delivery, err *error) {
	if p := recover(); p != nil {
		c.bus.log.Error("panic while handling", zap.String("msg_type", d.Meta.Type), zap.String("msg_id", d.Meta.ID),
			zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
		*err = fmt.Errorf("panic: %v", p)
	}
}

// reply sends the outcome of a command to whoever waits for it.
func (c *consumer) reply(d Delivery, v verdict, result any) {
	o := events.Outcome{CommandID: d.Meta.ID, Done: true, Fault: v.fault}
	if v.fault == nil && result != nil {
		body, err := wire.Encode(result)
		if err != nil { // it is done all the same
			c.bus.log.Error("encode result", zap.String("msg_id", d.Meta.ID), zap.Error(err))
		}
		o.Result = body
	}
	if err := c.bus.Reply(context.Background(), d.Meta.OutcomeTo, o); err != nil {
		c.bus.log.Warn("outcome not delivered", zap.String("msg_id", d.Meta.ID), zap.Error(err))
	}
}

// ack acknowledges by the verdict. A plain ack is enough, for commands too: at one replica the server confirms an ack
// before it is on disk, so waiting for the confirmation buys nothing; and every handler survives a redelivery, because
// its row or its record of commands says that the work is done.
func (c *consumer) ack(m jetstream.Msg, v verdict) error {
	switch {
	case v.action == actionAck:
		return m.Ack()
	case v.action == actionDeadLetter:
		return m.TermWithReason("dead letter on " + events.StreamDead)
	case v.failed:
		return c.nakWithDelay(m, v.delay)
	case v.delay > 0:
		return m.NakWithDelay(v.delay)
	}
	return m.Nak()
}

// nakWithDelay says that a message that failed is to come again after a while, and waits until the server has it: what
// failed may be the server itself, and a word that is lost costs AckWait.
func (c *consumer) nakWithDelay(m jetstream.Msg, delay time.Duration) (err error) {
	c.mu.Lock()
	given := c.returned
	c.mu.Unlock()
	if given { // the next process may have it by now
		return jetstream.ErrMsgAlreadyAckd
	}
	word := fmt.Appendf(nil, `-NAK {"delay": %d}`, delay.Nanoseconds())
	for range nakTries {
		ctx, cancel := context.WithTimeout(context.Background(), lookUpWithin)
		_, err = c.bus.nc.RequestWithContext(ctx, m.Reply(), word)
		cancel()
		if err == nil || errors.Is(err, nats.ErrConnectionClosed) {
			break
		}
		clock.Sleep(context.Background(), firstDelay/4)
	}
	return err
}

// nakTries cover the time in which another server becomes the durable's leader.
const nakTries = 6

// heartbeat keeps the server from giving a message to somebody else while it is worked on.
type heartbeat struct {
	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

func keepAlive(m jetstream.Msg, every time.Duration) *heartbeat {
	every = max(every, 10*time.Millisecond)
	p := &heartbeat{}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = time.AfterFunc(every, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.stopped {
			_ = m.InProgress() // if it does not get through, the message comes again
			p.timer.Reset(every)
		}
	})
	return p
}

// stop returns when no beat is under way. One that came after a nak with a delay would replace the delay by AckWait.
func (p *heartbeat) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.timer.Stop()
}

// log says once what became of a message. Never its body.
func (c *consumer) log(ctx context.Context, d Delivery, v verdict, isCommand bool, err error, took time.Duration) {
	log := c.bus.log.With(
		zap.String("msg_type", d.Meta.Type), zap.String("msg_id", d.Meta.ID), zap.String("subject", d.Subject),
		zap.Uint64("attempt", d.Deliveries), zap.Duration("took", took))
	if d.Meta.Correlation != "" {
		log = log.With(zap.String("request_id", d.Meta.Correlation))
	}
	if id := TraceID(ctx); id != "" {
		log = log.With(zap.String("trace_id", id))
	}
	switch {
	case v.action == actionDeadLetter:
		log.Error("became a dead letter; somebody should look", zap.Error(err))
	case v.action == actionNak && !v.quiet:
		log.Warn("will retry", zap.Duration("in", v.delay), zap.Error(err))
	case v.action == actionNak:
		log.Debug("again", zap.Duration("in", v.delay), zap.NamedError("why", err))
	case v.fault != nil:
		log.Info("refused", zap.String("code", string(v.fault.Code)))
	case isCommand:
		log.Info("done", zap.Bool("pending", v.pending))
	default: // events and wake-ups come by the thousand
		log.Debug("done")
	}
}
