package engagement

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func TestModerate(t *testing.T) {
	t.Parallel()
	sys := setup(t)
	sys.person("friend")
	root := sys.say("demo.user", "well?", time.Hour)
	said := sys.say("friend", "well!", 30*time.Minute, "reply_to_id", root)
	s := sys.service()
	deliver := func(id string, accepted time.Time, deliveries uint64) (any, error) {
		d := bus.Delivery{Meta: events.Meta{ID: id, Time: accepted}, Deliveries: deliveries}
		return s.HideReply(t.Context(), d, events.HideReply{UserID: "user_1", ID: said, Hide: true})
	}

	t.Run("a command delivered twice calls once and says the same", func(t *testing.T) {
		id := events.NewCommandID()
		for range 2 {
			result, err := deliver(id, time.Now(), 1)
			if err != nil {
				t.Fatal(err)
			}
			var state asks.ReplyState
			if err := json.Unmarshal(result.(json.RawMessage), &state); err != nil || state.Hidden == nil || !*state.Hidden {
				t.Errorf("%+v, %v", state, err)
			}
		}
		if n := sys.callsOf(threads.OpHideReply); n != 1 {
			t.Errorf("%d calls", n)
		}
	})

	t.Run("is tried again while Threads is away, for an hour", func(t *testing.T) {
		if err := sys.sim.Inject(threadssim.Fault{Op: threads.OpHideReply, Kind: threadssim.Edge5xx, Times: 2}); err != nil {
			t.Fatal(err)
		}
		id := events.NewCommandID()
		if _, err := deliver(id, time.Now(), 1); err == nil || commands.Refusal(err) != nil {
			t.Errorf("not tried again: %v", err)
		}
		if _, err := deliver(id, time.Now().Add(-2*time.Hour), 9); commands.Refusal(err) == nil || commands.Refusal(err).Code != events.Missed {
			t.Errorf("not given up: %v", err)
		}
		// It has ended; Threads being back changes nothing.
		before := sys.callsOf(threads.OpHideReply)
		if _, err := deliver(id, time.Now(), 10); commands.Refusal(err) == nil || commands.Refusal(err).Code != events.Missed {
			t.Errorf("told otherwise: %v", err)
		}
		if n := sys.callsOf(threads.OpHideReply); n != before {
			t.Error("it called once more")
		}
	})
}
