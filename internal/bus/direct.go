package bus

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
)

// directWait is how long a command that is asked for directly may take before it is stored instead.
const directWait = 2 * time.Second

// HandleDirect has commands of the given types done while their senders wait, by the handlers that Handle calls for those that
// are stored on COMMANDS: the same work, with the same record of the command, so what was asked for in both ways is done once. Whatever is not
// an outcome (a failure, a wait, no place) is left to the stream, on which the sender then stores the command. After the end of ctx that
// is all of them.
func (b *Bus) HandleDirect(ctx context.Context, durable string, h *Handlers, o HandleOptions, bounds Bounds, commands ...events.Command) error {
	o = o.orDefaults()
	for _, cmd := range commands {
		c := &consumer{bus: b, stream: events.StreamCommands, durable: durable, handlers: h, options: o}
		err := b.endpoint(asks.Directly(cmd.Subject()), bounds, func(one context.Context, r micro.Request) {
			if ctx.Err() != nil {
				refuse(b, r, errDirect)
				return
			}
			c.handleDirect(one, r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// errDirect has the sender store the command.
var errDirect = unavailable("This could not be done at once.")

// handleDirect does one command and tells its outcome to who asked.
func (c *consumer) handleDirect(ctx context.Context, r micro.Request) {
	h := nats.Header(r.Headers())
	d := Delivery{Meta: MetaOf(h), Subject: r.Subject(), Stream: c.stream, Consumer: c.durable, Deliveries: 1}
	began := time.Now()
	handling, span := beginHandling(causedBy(ctx, d.Meta), d)
	limited, cancel := context.WithTimeout(handling, c.options.CommandLimit)
	defer cancel()
	result, err := c.call(limited, d, r.Data())
	if limited.Err() != nil {
		err = outOfTime(err)
	}
	then, _ := result.(Then)
	if then.Rest != nil {
		result = then.Result
	}
	v := decide(ctx, err, d.Deliveries)
	if v.action == actionAck && !v.pending {
		c.replyTo(r.Reply(), d, v, result)
	} else {
		refuse(c.bus, r, errDirect)
	}
	if then.Rest != nil && err == nil {
		c.rest(context.WithoutCancel(limited), d, then)
	}
	took := time.Since(began)
	endHandling(span, v, err)
	handleSeconds.WithLabelValues(c.durable, v.outcome()).Observe(took.Seconds())
	c.log(handling, d, v, true, err, took)
}

// rest does what is left of a command that was answered. The asker waits no longer, so its time is no limit.
func (c *consumer) rest(ctx context.Context, d Delivery, then Then) {
	ctx, cancel := context.WithTimeout(ctx, c.options.CommandLimit)
	defer cancel()
	err := func() (err error) {
		defer c.caught(d, &err)
		return then.Rest(ctx)
	}()
	if err != nil {
		c.bus.log.Warn("what is left of a command is left to the sweep", zap.String("msg_type", d.Meta.Type), zap.String("msg_id", d.Meta.ID), zap.Error(err))
	}
}

// direct asks the command's service to do it at once. done is false where it was not, or nobody knows (maybe): then the command is stored,
// under the same id, so that it is done once.
func (b *Bus) direct(ctx context.Context, cmd events.Command, o CommandOptions, wait time.Duration) (outcome events.Outcome, done, maybe bool) {
	ctx, span := Begin(ctx, "ask "+cmd.Type(), trace.SpanKindClient, attribute.String("messaging.message.id", o.ID))
	var err error
	defer func() { end(span, err) }()
	m, err := commandMessage(ctx, cmd, o, b.now())
	if err != nil {
		return outcome, false, false
	}
	m.Subject = asks.Directly(cmd.Subject())
	ctx, cancel := context.WithTimeout(ctx, min(wait, directWait))
	defer cancel()
	m.Header[asks.HeaderWait] = []string{strconv.FormatInt(min(wait, directWait).Milliseconds(), 10)}
	b.asking.Add(1)
	reply, err := b.nc.RequestMsgWithContext(ctx, m)
	b.asking.Add(-1)
	if err == nil && reply.Header.Get(micro.ErrorCodeHeader) == "" {
		if err = json.Unmarshal(reply.Data, &outcome); err == nil && outcome.Done {
			return outcome, true, true
		}
	}
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrMaxPayload) {
		return events.Outcome{}, false, false // it went nowhere
	}
	b.log.Debug("a command was not done at once; it is stored", zap.String("msg_type", cmd.Type()), zap.String("msg_id", o.ID), zap.Error(err))
	return events.Outcome{}, false, true
}
