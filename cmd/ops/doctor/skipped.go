package doctor

import (
	"context"

	"github.com/omni-write/threads/services/publisher/projector"
)

// skipped counts the events that are on EVENTS and not in the tables.
func (e *examination) skipped(ctx context.Context) {
	if e.db == nil {
		return // postgres has said so
	}
	n, first, err := projector.CountSkipped(ctx, e.db)
	switch {
	case err != nil:
		e.say(Wrong, "events", "The events that were skipped cannot be counted: %s", oneLine(err))
	case n > 0:
		e.say(Warning, "events", "%d events on EVENTS could not be read or written to the tables, the first at sequence %d. `rebuild` shows them and why. "+
			"In a change of version, finish it, then `rebuild --swap` with all publishers stopped; what need not be applied: `rebuild --drop SEQ`.", n, first)
	default:
		e.say(Well, "events", "Every event that was read is in the tables.")
	}
}
