package bus

import (
	"context"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
)

// The headers that a dead letter has beside those of its message.
const (
	HeaderDeadStream     = "omni-dead-stream"
	HeaderDeadSequence   = "omni-dead-sequence"
	HeaderDeadSubject    = "omni-dead-subject"
	HeaderDeadConsumer   = "omni-dead-consumer"
	HeaderDeadDeliveries = "omni-dead-deliveries"
	HeaderDeadError      = "omni-dead-error"
)

// storeDeadLetter copies a message to DEAD, and only when the copy is stored lets it be terminated, so that no message is
// lost. When the copy cannot be stored, the message is tried again later.
func (c *consumer) storeDeadLetter(m jetstream.Msg, d Delivery, cause error, v verdict) verdict {
	ctx, cancel := context.WithTimeout(context.Background(), c.bus.patience)
	defer cancel()
	err := c.callOnDead(ctx, d, cause)
	if err == nil {
		_, err = c.bus.js.PublishMsg(ctx, deadLetter(m, d, cause), jetstream.WithExpectStream(events.StreamDead))
	}
	if err != nil {
		c.bus.log.Error("dead letter could not be stored; trying again", zap.String("msg_id", d.Meta.ID), zap.Error(err))
		return verdict{action: actionNak, delay: retryDelay(d.Deliveries)}
	}
	return v
}

// callOnDead calls the service's own OnDead.
func (c *consumer) callOnDead(ctx context.Context, d Delivery, cause error) (err error) {
	defer c.caught(d, &err)
	if c.handlers.onDead != nil {
		c.handlers.onDead(ctx, d, cause)
	}
	return nil
}

func deadLetter(m jetstream.Msg, d Delivery, cause error) *nats.Msg {
	letter := &nats.Msg{Subject: events.Dead(d.Subject), Data: m.Data(), Header: nats.Header{}}
	for key, values := range m.Headers() {
		// JetStream's own headers would act on DEAD as well: schedule, deduplicate, expire.
		if !strings.HasPrefix(strings.ToLower(key), "nats-") {
			letter.Header[key] = values
		}
	}
	for key, value := range map[string]string{
		HeaderDeadStream: d.Stream, HeaderDeadSequence: strconv.FormatUint(d.Sequence, 10), HeaderDeadSubject: d.Subject,
		HeaderDeadConsumer: d.Consumer, HeaderDeadDeliveries: strconv.FormatUint(d.Deliveries, 10), HeaderDeadError: oneLine(cause),
		jetstream.MsgIDHeader: d.Stream + "." + strconv.FormatUint(d.Sequence, 10),
	} {
		letter.Header[key] = []string{value}
	}
	return letter
}

func oneLine(err error) string {
	s := strings.Join(strings.Fields(err.Error()), " ")
	return strings.ToValidUTF8(s[:min(len(s), 500)], "")
}
