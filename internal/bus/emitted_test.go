package bus_test

import (
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus/bustest"
)

func TestEmitted(t *testing.T) {
	t.Parallel()
	s := bustest.Server(t, t.TempDir())
	b := bustest.Connect(t, s, "publisher")
	first, second := newEvent(events.FactPostponed, "post_1", 2), newEvent(events.FactPostponed, "post_1", 3)
	for _, c := range []struct {
		emit events.PostEvent // before it is looked
		ask  events.PostEvent
		want bool
	}{{nil, first, false}, {first, first, true}, {nil, second, false}, {second, second, true}, {nil, newEvent(events.FactPostponed, "post_2", 3), false}} {
		if c.emit != nil {
			if err := b.Emit(t.Context(), c.emit); err != nil {
				t.Fatal(err)
			}
		}
		if emitted, err := b.Emitted(t.Context(), c.ask); err != nil || emitted != c.want {
			t.Errorf("rev %d of %s is emitted: %t, %v; want %t", c.ask.Snapshot().Rev, c.ask.Snapshot().ID, emitted, err, c.want)
		}
	}
}
