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

// setAside copies a message to DEAD, and only when the copy is stored terminates it: nothing dies unseen. When the copy
// cannot be stored, the message is tried again later.
func (h *hands) setAside(m jetstream.Msg, d Delivery, cause error, v verdict) verdict {
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	defer cancel()
	if h.handlers.onDead != nil {
		h.handlers.onDead(ctx, d, cause)
	}
	if _, err := h.bus.js.PublishMsg(ctx, deadLetter(m, d, cause), jetstream.WithExpectStream(events.StreamDead)); err != nil {
		h.bus.log.Error("message could not be set aside; trying again", zap.String("msg_id", d.Meta.ID), zap.Error(err))
		return verdict{verb: nak, delay: retryDelay(d.Deliveries)}
	}
	_ = h.bus.Reply(ctx, d.Meta.OutcomeTo, events.Outcome{CommandID: d.Meta.ID, Done: true, Fault: v.fault})
	if err := m.TermWithReason("set aside on " + events.StreamDead); err != nil {
		h.bus.log.Warn("terminate", zap.Error(err))
	}
	h.bus.log.Error("message set aside: somebody should look", zap.String("msg_type", d.Meta.Type), zap.String("msg_id", d.Meta.ID),
		zap.String("subject", d.Subject), zap.Uint64("attempt", d.Deliveries), zap.Error(cause))
	return v
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
	return s[:min(len(s), 500)]
}
