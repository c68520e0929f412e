package ops_test

import (
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/cmd/ops"
	"github.com/omni-write/threads/events"
)

func TestStanding(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	turn := now.Add(30 * time.Second)
	for name, c := range map[string]struct {
		history ops.History
		says    string
	}{
		"held up and spaced": {
			ops.History{Row: &ops.PostRow{State: events.StateReady, PublishAt: now.Add(-time.Hour), WakeAt: &turn}},
			"its turn is at 2026-11-30 09:00:30.000",
		},
		"ready before its time": {
			ops.History{Row: &ops.PostRow{State: events.StateReady, PublishAt: turn, WakeAt: &turn}}, "it is looked at next at",
		},
		"its row is lost": {ops.History{Timeline: []ops.Entry{{Source: "event"}}}, "the row was lost"},
		"never accepted":  {ops.History{Timeline: []ops.Entry{{Source: "command"}}}, "never accepted"},
	} {
		if says := c.history.Standing(now); !strings.Contains(says, c.says) {
			t.Errorf("%s: it says %q", name, says)
		}
	}
}

// Two machines, of which one is a second behind, and a command that ended in the transaction in which it began.
func TestTheTimelineIsInTheOrderOfEvents(t *testing.T) {
	t.Parallel()
	at := func(ms int) time.Time {
		return time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond)
	}
	sorted := ops.InOrder([]ops.Entry{
		{At: at(30), Source: "event", What: "scheduled", ID: "e1", Cause: "c1", Seq: 1},
		{At: at(30), Source: "request", What: "asked", ID: "r1"},
		{At: at(900), Source: "event", What: "prepared", ID: "e2", Cause: "e1", Seq: 2},
		{At: at(100), Source: "event", What: "published", ID: "e3", Cause: "e2", Seq: 3},
		{At: at(1500), Source: "event", What: "deleted", ID: "e4", Cause: "c2", Seq: 4},
		{At: at(1500), Source: "request", What: "asked to delete", ID: "r2"},
		{At: at(21), Source: "command", What: "schedule begins", ID: "c1"},
		{At: at(20), Source: "command", What: "schedule ends", ID: "c1"},
		{At: at(1600), Source: "command", What: "delete begins", ID: "c2"},
		{At: at(1700), Source: "command", What: "delete ends", ID: "c2"},
		{At: at(40), Source: "threads", What: "create"},
		{At: at(950), Source: "threads", What: "permalink"},
	}, map[int]bool{6: true, 8: true}, map[int]string{0: "r1", 2: "r1", 3: "r1", 4: "r2"})
	var order []string
	for _, e := range sorted {
		order = append(order, e.What)
	}
	want := "asked, schedule begins, schedule ends, scheduled, create, prepared, published, permalink, asked to delete, delete begins, deleted, delete ends"
	if got := strings.Join(order, ", "); got != want {
		t.Errorf("it goes\n%s, want\n%s", got, want)
	}
	if asked := sorted[0].At; !asked.Equal(at(20)) {
		t.Errorf("the request is shown at %s", asked)
	}
}
