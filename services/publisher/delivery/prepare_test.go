package delivery_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher/delivery"
)

// A status that is never answered is asked for again before the post is due, and the post goes out while the first question
// still hangs.
func TestHangingStatus(t *testing.T) {
	t.Parallel()
	r := setup(t)
	var asked atomic.Int64
	release := make(chan struct{})
	r.Behind(func(req *http.Request) {
		if strings.Contains(req.URL.RawQuery, "error_message") && asked.Add(1) == 1 {
			<-release
		}
	})
	r.Start()
	t.Cleanup(func() { close(release) })
	r.Once(r.Await(r.Schedule(6*time.Second, "due soon").ID, events.FactPublished))
}

// A creation that takes longer than the lease keeps its lease: one container, and the post goes out.
func TestSlowCreation(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Inject(threadssim.Fault{Op: "create", Kind: threadssim.Latency, DelayMS: 3500}) // the lease is 2 s
	r.Start()
	r.Once(r.Await(r.Schedule(500*time.Millisecond, "slow creation").ID, events.FactPublished))
	if n := len(r.Sim.Containers()); n != 1 {
		t.Errorf("%d containers were made", n)
	}
}

// A post whose container was made is looked at again when its row says, and is not read for that.
func TestCreatedIsSnoozed(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.LeadText = 2 * time.Hour
	now := time.Now() // for as long as the step takes
	r.Now = func() time.Time { return now }
	s := r.Idle()
	row := r.Any(r.acceptedBy(s, "prepared at once").ID)
	end, err := s.Delivery.Work(t.Context(), &row)
	after := r.Any(row.ID)
	if wait, later := bus.DelayOf(err); end != delivery.Snoozed || !later || wait <= 0 || after.ContainerID == "" || after.WakeAt.IsZero() {
		t.Errorf("it ended as %v with %v; its container is %q, to be looked at at %s", end, err, after.ContainerID, after.WakeAt)
	}
}

// A container built from other words, whoever left it there, is never published.
func TestContainerOfOtherWords(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	p := r.Schedule(8*time.Second, "old words")
	r.Row(p.ID, events.StateReady)
	if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET text = 'new words' WHERE id = ?", p.ID); err != nil {
		t.Fatal(err)
	}
	r.Await(p.ID, events.FactPublished)
	if old, _ := r.Arrivals("old words"); old != 0 {
		t.Errorf("the old words are live")
	}
	if n, _ := r.Arrivals("new words"); n != 1 {
		t.Errorf("the new words are live %d times", n)
	}
}
