package delivery_test

import (
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// A machine whose clock is set right after an outage must not think that minutes have passed in which a lost call could only
// have failed: a second call waits for a time that has truly passed.
func TestClockIsSet(t *testing.T) {
	t.Parallel()

	t.Run("ahead, after a call whose answer was lost", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		clock := &movedClock{}
		r.Now = clock.now
		r.Config.SecondCallAfter = time.Minute
		r.Start()
		first := r.Await(r.Schedule(300*time.Millisecond, "worth repeating").ID, events.FactPublished)
		if err := r.Sim.SetKnobs(func(k *threadssim.Knobs) { k.ListLag = threadssim.Always(4 * time.Second) }); err != nil {
			t.Fatal(err)
		}
		r.Inject(threadssim.Fault{Op: "repost", Kind: threadssim.DropResponse})
		p := r.accepted(events.Draft{RepostOf: *first.PostedTweetID}, 300*time.Millisecond)
		waiting.Until(t, "the repost is live", func() bool { return len(r.reposts()) > 0 })
		clock.advance(10 * time.Minute)
		r.Await(p.ID, events.FactPublished)
		if ids := r.reposts(); len(ids) != 1 {
			t.Errorf("Threads has it %d times%s", len(ids), r.Rows())
		}
	})
}
