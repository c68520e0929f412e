package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
)

// Delivery is what a handler may know about the message in hand.
type Delivery struct {
	Meta       events.Meta
	Subject    string
	Stream     string
	Consumer   string
	Sequence   uint64
	Deliveries uint64 // 1 the first time
}

// Handlers says who handles what, for one durable.
type Handlers struct {
	byType map[string]typed
	wakes  []wake
	onDead func(context.Context, Delivery, error)
}

type typed struct {
	command bool
	handle  func(context.Context, Delivery, []byte) (result any, err error)
}

type wake struct {
	pattern string
	handle  func(context.Context, Delivery, string) error
}

// NewHandlers begins a table of handlers.
func NewHandlers() *Handlers { return &Handlers{byType: map[string]typed{}} }

// OnCommand handles a command; it is known by the type of its zero value. The result is told to whoever waits for it.
func OnCommand[C events.Command](h *Handlers, fn func(context.Context, Delivery, C) (any, error)) {
	var zero C
	h.byType[zero.Type()] = typed{command: true, handle: func(ctx context.Context, d Delivery, body []byte) (any, error) {
		var c C
		if err := json.Unmarshal(body, &c); err != nil {
			return nil, fmt.Errorf("%w: %w", errUndecodable, err)
		}
		return fn(ctx, d, c)
	}}
}

// OnEvent handles an event; it is known by the type of its zero value.
func OnEvent[E events.Event](h *Handlers, fn func(context.Context, Delivery, E) error) {
	var zero E
	h.byType[zero.Type()] = typed{handle: func(ctx context.Context, d Delivery, body []byte) (any, error) {
		var e E
		if err := json.Unmarshal(body, &e); err != nil {
			return nil, fmt.Errorf("%w: %w", errUndecodable, err)
		}
		return nil, fn(ctx, d, e)
	}}
}

// OnWake handles wake-ups on a subject, in which the last token may be *. A wake-up has no body; its key is the last
// token of its subject.
func (h *Handlers) OnWake(pattern string, fn func(ctx context.Context, d Delivery, key string) error) {
	h.wakes = append(h.wakes, wake{pattern: pattern, handle: fn})
}

// OnDead is called before a command is set aside that nobody could handle.
func (h *Handlers) OnDead(fn func(ctx context.Context, d Delivery, err error)) { h.onDead = fn }

// HandleOptions bounds the work of one process.
type HandleOptions struct {
	Concurrency       int    // messages in hand at once; 0: 16
	Prefetch          int    // messages fetched ahead; 0: Concurrency
	CommandDeliveries uint64 // after so many a command is set aside; 0: 20
}

const drainLimit = 20 * time.Second

// Handle gives the messages of a durable to their handlers until ctx ends; then it takes no more and finishes those in
// hand. The value that a handler returns decides what becomes of its message (verdict.go).
func (b *Bus) Handle(ctx context.Context, durable string, h *Handlers, o HandleOptions) error {
	if o.Concurrency == 0 {
		o.Concurrency = 16
	}
	if o.Prefetch == 0 {
		o.Prefetch = o.Concurrency
	}
	if o.CommandDeliveries == 0 {
		o.CommandDeliveries = 20
	}
	stream, err := streamOf(durable)
	if err != nil {
		return err
	}
	hands := &hands{bus: b, durable: durable, handlers: h, options: o, slots: make(chan struct{}, o.Concurrency)}
	for ctx.Err() == nil {
		if err := hands.read(ctx, stream); err != nil && ctx.Err() == nil {
			b.log.Error("cannot read messages; trying again", zap.String("consumer", durable), zap.Error(err))
			pause(ctx, time.Second)
		}
	}
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
	bus      *Bus
	durable  string
	handlers *Handlers
	options  HandleOptions
	slots    chan struct{}
	busy     sync.WaitGroup
}

func (h *hands) read(ctx context.Context, stream string) error {
	consumer, err := h.bus.js.Consumer(ctx, stream, h.durable)
	if err != nil {
		return fmt.Errorf("find consumer: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(h.options.Prefetch))
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	defer giveBack(messages)
	beat := consumer.CachedInfo().Config.AckWait / 3
	for {
		select {
		case h.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			<-h.slots
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, jetstream.ErrNoHeartbeat) { // the server was away; the iterator goes on by itself
				continue
			}
			return err
		}
		h.busy.Go(func() {
			defer func() { <-h.slots }()
			h.handle(ctx, m, beat)
		})
	}
}

// giveBack returns what was fetched ahead and not begun: without a word the server would hold it for AckWait.
func giveBack(messages jetstream.MessagesContext) {
	messages.Drain()
	for {
		m, err := messages.Next(jetstream.NextMaxWait(time.Second))
		if err != nil {
			messages.Stop()
			return
		}
		_ = m.Nak() // if it is not heard, AckWait it is
	}
}

// finish waits for the messages in hand, so long.
func (h *hands) finish() {
	done := make(chan struct{})
	go func() { h.busy.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(drainLimit):
		h.bus.log.Warn("messages left in hand; another instance takes them", zap.String("consumer", h.durable))
	}
}

func (h *hands) handle(ctx context.Context, m jetstream.Msg, beat time.Duration) {
	d := h.delivery(m)
	began := time.Now()
	stop := heartbeat(m, beat)
	result, isCommand, err := h.call(causedBy(ctx, d.Meta), d, m.Data())
	v := judge(ctx, err, d.Deliveries, isCommand, h.options.CommandDeliveries)
	stop()
	if v.verb == aside {
		if v = h.setAside(m, d, err, v); v.verb == aside {
			return
		}
	}
	h.conclude(m, d, v, result, isCommand)
	h.log(d, v, err, time.Since(began))
}

// conclude answers the waiting and speaks the ack. A plain ack is enough: at one replica a confirmed one is no safer
// (reference nats.md §2.2), and every handler survives a redelivery.
func (h *hands) conclude(m jetstream.Msg, d Delivery, v verdict, result any, isCommand bool) {
	if isCommand && v.verb == ack && !v.pending {
		o := events.Outcome{CommandID: d.Meta.ID, Done: true, Fault: v.fault}
		if v.fault == nil {
			body, err := json.Marshal(result)
			if err != nil {
				h.bus.log.Error("encode result", zap.String("msg_id", d.Meta.ID), zap.Error(err))
			}
			o.Result = body
		}
		if err := h.bus.Reply(context.Background(), d.Meta.OutcomeTo, o); err != nil {
			h.bus.log.Warn("outcome not delivered", zap.String("msg_id", d.Meta.ID), zap.Error(err))
		}
	}
	var err error
	switch {
	case v.verb == ack:
		err = m.Ack()
	case v.delay > 0:
		err = m.NakWithDelay(v.delay)
	default:
		err = m.Nak()
	}
	if err != nil {
		h.bus.log.Warn("ack not sent; the message comes again", zap.String("msg_id", d.Meta.ID), zap.Error(err))
	}
}

func (h *hands) delivery(m jetstream.Msg) Delivery {
	d := Delivery{Meta: metaOf(m.Headers()), Subject: m.Subject(), Consumer: h.durable, Deliveries: 1}
	if meta, err := m.Metadata(); err == nil {
		d.Stream, d.Sequence, d.Deliveries = meta.Stream, meta.Sequence.Stream, meta.NumDelivered
	}
	return d
}

// call finds the handler and calls it; a panic is an error like any other.
func (h *hands) call(ctx context.Context, d Delivery, body []byte) (result any, isCommand bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			h.bus.log.Error("panic while handling", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	for _, w := range h.handlers.wakes {
		if key, ok := match(w.pattern, d.Subject); ok {
			return nil, false, w.handle(ctx, d, key)
		}
	}
	t, ok := h.handlers.byType[d.Meta.Type]
	if !ok {
		if d.Stream == events.StreamEvents && d.Meta.Type != "" {
			return nil, false, nil // a fact that is none of this durable's business
		}
		return nil, d.Stream == events.StreamCommands, fmt.Errorf("%w: unknown type %q", errUndecodable, d.Meta.Type)
	}
	result, err = t.handle(ctx, d, body)
	return result, t.command, err
}

func match(pattern, subject string) (key string, ok bool) {
	key = subject[strings.LastIndexByte(subject, '.')+1:]
	if stem, wild := strings.CutSuffix(pattern, "*"); wild {
		return key, strings.HasPrefix(subject, stem) && stem+key == subject
	}
	return key, pattern == subject
}

// heartbeat keeps the server from giving the message to somebody else while it is worked on.
func heartbeat(m jetstream.Msg, every time.Duration) (stop func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(max(every, 10*time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = m.InProgress() // if it does not get through, the message comes again
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

// log says once what became of a message. Never its body.
func (h *hands) log(d Delivery, v verdict, err error, took time.Duration) {
	fields := []zap.Field{
		zap.String("msg_type", d.Meta.Type), zap.String("msg_id", d.Meta.ID), zap.String("subject", d.Subject),
		zap.Uint64("attempt", d.Deliveries), zap.Duration("took", took),
	}
	switch {
	case v.fault != nil && v.verb == ack:
		h.bus.log.Info("refused", append(fields, zap.String("code", string(v.fault.Code)))...)
	case v.quiet:
		h.bus.log.Debug("handled", append(fields, zap.NamedError("verdict", err))...)
	default:
		h.bus.log.Warn("will retry", append(fields, zap.Duration("in", v.delay), zap.Error(err))...)
	}
}
