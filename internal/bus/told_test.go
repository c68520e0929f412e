package bus_test

import (
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus/bustest"
)

func TestTold(t *testing.T) {
	t.Parallel()
	s := bustest.Server(t, t.TempDir())
	b := bustest.Connect(t, s, "publisher")
	first, second := aFact(events.FactPostponed, "post_1", 2), aFact(events.FactPostponed, "post_1", 3)
	for _, c := range []struct {
		tell events.PostEvent // before it is looked
		ask  events.PostEvent
		want bool
	}{{nil, first, false}, {first, first, true}, {nil, second, false}, {second, second, true}, {nil, aFact(events.FactPostponed, "post_2", 3), false}} {
		if c.tell != nil {
			if err := b.Emit(t.Context(), c.tell); err != nil {
				t.Fatal(err)
			}
		}
		if told, err := b.Told(t.Context(), c.ask); err != nil || told != c.want {
			t.Errorf("rev %d of %s is told: %t, %v; want %t", c.ask.Snapshot().Rev, c.ask.Snapshot().ID, told, err, c.want)
		}
	}
}
