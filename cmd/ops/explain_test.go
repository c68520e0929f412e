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
