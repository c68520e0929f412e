package bus

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
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

const (
	sendTries   = 3
	sendTimeout = 5 * time.Second
)

// Send stores a command; when it returns nil, the command is on disk and will be done. An acknowledgement that does not
// come is asked for again under the same id; after that nobody knows, and the Fault says so.
func (b *Bus) Send(ctx context.Context, cmd events.Command, o CommandOptions) error {
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
	for try := 1; ; try++ {
		once, cancel := context.WithTimeout(ctx, sendTimeout)
		_, err = b.js.PublishMsg(once, m, jetstream.WithExpectStream(events.StreamCommands))
		cancel()
		switch {
		case err == nil:
			return nil
		case refusedByServer(err):
			b.log.Error("command refused by jetstream", zap.String("msg_type", cmd.Type()), zap.Error(err))
			return unavailable("We cannot take this on at the moment; nothing was accepted. Please try again shortly.").After(5 * time.Second)
		case (errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders)) && try == sendTries:
			return unavailable("We cannot take this on at the moment; nothing was accepted. Please try again shortly.").After(5 * time.Second)
		case try == sendTries || ctx.Err() != nil:
			b.log.Warn("command not acknowledged", zap.String("msg_type", cmd.Type()), zap.String("msg_id", o.ID), zap.Error(err))
			return events.Faultf(events.Unknown, "It is not known whether this was accepted; ask for the command's outcome before you repeat it.").After(2 * time.Second)
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// refusedByServer says that the server answered, and its answer was no.
func refusedByServer(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api)
}

func unavailable(format string, args ...any) *events.Fault {
	return events.Faultf(events.Unavailable, format, args...)
}

func errorCode(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}
