package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
)

// CommandOptions says who the command is.
type CommandOptions struct {
	ID       string // the command id; a repeat of the same id is stored once
	Key      string // the caller's Idempotency-Key
	BodyHash string // hash of the request that came with the key

	outcomeTo string
}

// sendTries is how often a command is sent at least. Answers that come at once, as of a stream that has no leader for the
// moment, are tried over for longer: another server leads within seconds.
const sendTries = 3

// Send stores a command; when it returns nil, the command is on disk and will be done. An acknowledgement that does not
// come is asked for again under the same id, which JetStream stores once. Its error is a Fault: unavailable when nothing
// was stored, outcome_unknown when nobody knows, which one unanswered try is enough for, whatever the others say.
func (b *Bus) Send(ctx context.Context, cmd events.Command, o CommandOptions) (err error) {
	if o.ID == "" {
		return fmt.Errorf("send %s: a command needs an id", cmd.Type())
	}
	ctx, span := Begin(ctx, "send "+cmd.Type(), trace.SpanKindProducer, attribute.String("messaging.message.id", o.ID))
	defer func() { end(span, err) }()
	m, err := encode(ctx, cmd, o.ID, b.now())
	if err != nil {
		return err
	}
	for key, value := range map[string]string{
		events.HeaderKey: o.Key, events.HeaderBodyHash: o.BodyHash, events.HeaderOutcomeTo: o.outcomeTo,
	} {
		if value != "" {
			m.Header[key] = []string{value}
		}
	}
	m.Header[jetstream.ExpectedStreamHeader] = []string{events.StreamCommands}
	if b.stores.refuses(events.StreamCommands) { // it was not sent, so nothing will be done
		return b.notSent(cmd, o.ID, b.stores.err(), false)
	}
	maybe, began := false, time.Now()
	for try := 1; ; try++ {
		em := &emission{msg: m, outcome: make(chan error, 1)}
		once, cancel := context.WithTimeout(ctx, 2*b.patience) // in a batch, and then alone
		err = b.commands.emit(once, []*emission{em})
		cancel()
		found := storingOf(err)
		if found == isStored {
			return nil
		}
		if !maybe && errors.Is(err, errNobodyAnswers) && b.certainlyLost(ctx, events.StreamCommands, began) {
			return b.notSent(cmd, o.ID, err, false)
		}
		maybe = maybe || found == unsure || em.unsure
		enough := try >= sendTries && time.Since(began) >= b.patience || b.stores.refuses(events.StreamCommands)
		if found == notEver || enough || !backoff(ctx) {
			return b.notSent(cmd, o.ID, err, maybe)
		}
	}
}

// followCommand leaves the next try to who sent the command.
func followCommand(em *emission, _ *jetstream.PubAck, err error) { em.outcome <- err }

func (b *Bus) notSent(cmd events.Command, id string, err error, maybe bool) error {
	fields := []zap.Field{zap.String("msg_type", cmd.Type()), zap.String("msg_id", id), zap.Error(err)}
	if maybe {
		b.log.Warn("command not acknowledged", fields...)
		return events.Faultf(events.Unknown, "It is not known whether this was accepted; ask for the command's outcome before you repeat it.").After(2 * time.Second)
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return tooLarge(b.nc.MaxPayload())
	}
	b.log.Error("command not stored", fields...)
	return unavailable("We cannot take this on at the moment; nothing was accepted. Please try again shortly.").After(5 * time.Second)
}

func unavailable(format string, args ...any) *events.Fault {
	return events.Faultf(events.Unavailable, format, args...)
}
