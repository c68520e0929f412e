package doctor

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
)

// What is reserved counts as needed before it is used, and growth for two weeks.
func TestNeededDisk(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	var use diskUse
	use.database = 3 << 30
	use.add(&jetstream.StreamInfo{Config: jetstream.StreamConfig{Name: events.StreamCommands, MaxBytes: 1 << 30}, State: jetstream.StreamState{Bytes: 1 << 28}})
	use.add(&jetstream.StreamInfo{
		Config: jetstream.StreamConfig{Name: events.StreamEvents, MaxBytes: -1},
		State:  jetstream.StreamState{Bytes: 10 << 30, FirstTime: now.Add(-10 * 24 * time.Hour), LastTime: now},
	})
	const needed = 3<<28 + 28<<30
	for _, c := range []struct {
		free  uint64
		level Level
		says  string
	}{
		{needed, Well, "take 10.2 GiB and may take 768 MiB more for commands, the database takes 3.0 GiB; EVENTS grows by 1.0 GiB a day. Their disk has 28.8 GiB free."},
		{needed - 1, Warning, "should have 28.8 GiB: make room"},
		{0, Well, "is not this machine's: keep 28.8 GiB free"},
	} {
		free := &c.free
		if c.free == 0 {
			free = nil
		}
		if level, _, _, words := use.judge(free); level != c.level || !strings.Contains(words, c.says) {
			t.Errorf("with %d free it says %s: %s", c.free, level, words)
		}
	}
}
