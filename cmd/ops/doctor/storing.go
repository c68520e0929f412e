package doctor

import (
	"context"
	"errors"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
)

// storing stores something small on each stream that must take messages: one can be there, answer every question, and store
// nothing. EVENTS cannot be tried, for all of it is read; emitting says whether it takes events.
func (e *examination) storing(ctx context.Context) {
	b, err := e.streams(ctx)
	if err != nil {
		return // nats has said so
	}
	well := true
	for _, s := range events.Streams(e.common.Replicas, e.common.EventsMaxAge) {
		if _, err := b.JetStream().Stream(ctx, s.Name); err != nil {
			well = false // nats has said so
			continue
		}
		switch err := b.TryStoring(ctx, s.Name); {
		case errors.Is(err, bus.ErrNotTried):
			well = false
			e.say(Warning, "storing", "%s: %s", s.Name, oneLine(err))
		case err != nil:
			well = false
			e.say(Wrong, "storing", "%s", oneLine(err))
		}
	}
	if well {
		e.say(Well, "storing", "What is sent to the streams is stored.")
	}
}
