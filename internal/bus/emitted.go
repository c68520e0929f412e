package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
)

// Emitted says whether an event is on EVENTS as the last on its subject. JetStream knows a repeat by its id for some
// minutes only: whoever emits again an event that may be older than that looks first. The stream's leader is asked.
func (b *Bus) Emitted(ctx context.Context, ev events.Event) (bool, error) {
	once, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	stream, err := b.stream(once, events.StreamEvents)
	if err != nil {
		return false, err
	}
	last, err := stream.GetLastMsgForSubject(once, ev.Subject())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the last event on %s: %w", ev.Subject(), err)
	}
	return header(last.Header, events.HeaderID) == ev.EventID(), nil
}
