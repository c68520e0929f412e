package delivery

import (
	"testing"
	"time"

	"github.com/omni-write/threads/internal/bus"
)

func TestUntilGathered(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 1, 8, 0, 0, int(30*time.Millisecond), time.UTC)
	for name, c := range map[string]struct {
		d    bus.Delivery
		want time.Duration
	}{
		"its time is far":              {bus.Delivery{Deliveries: 1, Due: now.Add(time.Minute)}, gatherEvery - 30*time.Millisecond},
		"there is just time":           {bus.Delivery{Deliveries: 1, Due: now.Add(gatherUntil + gatherEvery)}, gatherEvery - 30*time.Millisecond},
		"its time is near":             {bus.Delivery{Deliveries: 1, Due: now.Add(gatherUntil + gatherEvery - 1)}, 0},
		"its time is over":             {bus.Delivery{Deliveries: 1, Due: now.Add(-time.Minute)}, 0},
		"nobody says when its time is": {bus.Delivery{Deliveries: 1}, 0},
		"it came before":               {bus.Delivery{Deliveries: 2, Due: now.Add(time.Minute)}, 0},
	} {
		if got := untilGathered(c.d, now); got != c.want {
			t.Errorf("%s: it waits %s, want %s", name, got, c.want)
		}
	}
}

func TestClaimAt(t *testing.T) {
	t.Parallel()
	due := time.Date(2027, 1, 1, 8, 0, 0, int(30*time.Millisecond), time.UTC)
	for lead, ahead := range map[time.Duration]time.Duration{
		0:                      0,
		20 * time.Millisecond:  30 * time.Millisecond, // as often as the lead is long
		150 * time.Millisecond: 230 * time.Millisecond,
		time.Second:            1030 * time.Millisecond,
	} {
		if got := due.Sub(claimAt(due, lead)); got != ahead {
			t.Errorf("with a lead of %s it is claimed %s before its time, want %s", lead, got, ahead)
		}
	}
}
