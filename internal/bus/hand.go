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
	"github.com/omni-write/threads/internal/wire"
)

// handle takes one message from its delivery to its ack.
func (h *hands) handle(ctx context.Context, m jetstream.Msg, beat time.Duration) {
	d := h.delivery(m)
	began := time.Now()
	pulse := keepAlive(m, beat)
	isCommand := d.Stream == events.StreamCommands
	handling, span := beginHandling(causedBy(ctx, d.Meta), d)
	limited, cancel := handling, func() {}
	if isCommand {
		limited, cancel = context.WithTimeout(handling, h.options.CommandLimit)
	}
	result, err := h.call(limited, d, m.Data())
	if isCommand && limited.Err() != nil && ctx.Err() == nil {
		err = outOfTime(err)
	}
	cancel()
	v := judge(ctx, err, d.Deliveries)
	if v.failed {
		v = h.weigh(d, err, v)
	}
	if v.verb == aside {
		v = h.setAside(m, d, err, v)
	}
	if v.verb != nak {
		h.failures.forget(d.Sequence)
	}
	pulse.stop()
	if isCommand && !v.pending && (v.verb == ack || v.verb == aside) {
		h.tellOutcome(d, v, result)
	}
	// A message that the drain gave back meanwhile is the next process's.
	if err := h.speak(m, v); err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		h.bus.log.Warn("ack not sent; the message comes again", zap.String("msg_id", d.Meta.ID), zap.Error(err))
	}
	took := time.Since(began)
	endHandling(span, v, err)
	handleSeconds.WithLabelValues(h.durable, v.outcome()).Observe(took.Seconds())
	h.log(handling, d, v, isCommand, err, took)
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

func (h *hands) delivery(m jetstream.Msg) Delivery {
	d := Delivery{Meta: MetaOf(m.Headers()), Subject: m.Subject(), Stream: h.stream, Consumer: h.durable, Deliveries: 1}
	if meta, err := m.Metadata(); err == nil {
		d.Sequence, d.Deliveries = meta.Sequence.Stream, meta.NumDelivered
	}
	return d
}

// call calls the handler; a panic is logged, and an error like any other.
func (h *hands) call(ctx context.Context, d Delivery, body []byte) (result any, err error) {
	defer h.caught(d, &err)
	return h.handlers.call(ctx, d, body)
}

func (h *hands) caught(d Delivery, err *error) {
	if p := recover(); p != nil {
		h.bus.log.Error("panic while handling", zap.String("msg_type", d.Meta.Type), zap.String("msg_id", d.Meta.ID),
			zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
		*err = fmt.Errorf("panic: %v", p)
	}
}

// tellOutcome answers whoever waits for a command.
func (h *hands) tellOutcome(d Delivery, v verdict, result any) {
	o := events.Outcome{CommandID: d.Meta.ID, Done: true, Fault: v.fault}
	if v.fault == nil && result != nil {
		body, err := wire.Encode(result)
		if err != nil { // it is done all the same
			h.bus.log.Error("encode result", zap.String("msg_id", d.Meta.ID), zap.Error(err))
		}
		o.Result = body
	}
	if err := h.bus.Reply(context.Background(), d.Meta.OutcomeTo, o); err != nil {
		h.bus.log.Warn("outcome not delivered", zap.String("msg_id", d.Meta.ID), zap.Error(err))
	}
}

// speak says the verdict to JetStream. A plain ack is enough, for commands too: at one replica the server confirms an ack
// before it is on disk, so waiting for the confirmation buys nothing; and every handler survives a redelivery, because
// its row or its record of commands says that the work is done.
func (h *hands) speak(m jetstream.Msg, v verdict) error {
	switch {
	case v.verb == ack:
		return m.Ack()
	case v.verb == aside:
		return m.TermWithReason("set aside on " + events.StreamDead)
	case v.failed:
		return h.putOff(m, v.delay)
	case v.delay > 0:
		return m.NakWithDelay(v.delay)
	}
	return m.Nak()
}

// putOff says that a message that failed is to come again after a while, and waits until the server has heard it: what
// failed may be the server itself, and a word that is lost costs AckWait.
func (h *hands) putOff(m jetstream.Msg, delay time.Duration) (err error) {
	h.mu.Lock()
	given := h.given
	h.mu.Unlock()
	if given { // the next process may have it by now
		return jetstream.ErrMsgAlreadyAckd
	}
	word := fmt.Appendf(nil, `-NAK {"delay": %d}`, delay.Nanoseconds())
	for range putOffTries {
		ctx, cancel := context.WithTimeout(context.Background(), lookUpWithin)
		_, err = h.bus.nc.RequestWithContext(ctx, m.Reply(), word)
		cancel()
		if err == nil || errors.Is(err, nats.ErrConnectionClosed) {
			break
		}
		pause(context.Background(), firstDelay/4)
	}
	return err
}

// putOffTries cover the time in which another server becomes the durable's leader.
const putOffTries = 6

// pulse keeps the server from giving a message to somebody else while it is worked on.
type pulse struct {
	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

func keepAlive(m jetstream.Msg, every time.Duration) *pulse {
	every = max(every, 10*time.Millisecond)
	p := &pulse{}
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
func (p *pulse) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.timer.Stop()
}

// log says once what became of a message. Never its body.
func (h *hands) log(ctx context.Context, d Delivery, v verdict, isCommand bool, err error, took time.Duration) {
	log := h.bus.log.With(
		zap.String("msg_type", d.Meta.Type), zap.String("msg_id", d.Meta.ID), zap.String("subject", d.Subject),
		zap.Uint64("attempt", d.Deliveries), zap.Duration("took", took))
	if d.Meta.Correlation != "" {
		log = log.With(zap.String("request_id", d.Meta.Correlation))
	}
	if id := TraceID(ctx); id != "" {
		log = log.With(zap.String("trace_id", id))
	}
	switch {
	case v.verb == aside:
		log.Error("set aside; somebody should look", zap.Error(err))
	case v.verb == nak && !v.quiet:
		log.Warn("will retry", zap.Duration("in", v.delay), zap.Error(err))
	case v.verb == nak:
		log.Debug("again", zap.Duration("in", v.delay), zap.NamedError("why", err))
	case v.fault != nil:
		log.Info("refused", zap.String("code", string(v.fault.Code)))
	case isCommand:
		log.Info("done", zap.Bool("pending", v.pending))
	default: // facts and wake-ups come by the thousand
		log.Debug("done")
	}
}
