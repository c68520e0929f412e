package delivery_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// Three servers, everything kept three times: while posts go out, the server that leads EVENTS dies, then the one that leads
// the alarms. Nothing is lost, nothing goes out twice.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := bustest.NewCluster(t)
	r := setupOn(t, c.Connect)
	r.Start()
	const n = 60
	var posts []events.Post
	ahead := 15 * time.Second // all are accepted by then; a slower machine takes longer
	at := time.Now().Add(ahead)
	for i := range n {
		for {
			draft := events.Draft{Text: fmt.Sprintf("through the loss of a leader %d", i)}
			p, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: draft, PublishAt: at.Add(time.Duration(i) * 50 * time.Millisecond)}, waiting.Limit)
			if fault == nil {
				posts = append(posts, p)
				break
			}
			if fault.Code != events.Invalid || time.Now().Before(at) {
				t.Fatal(fault)
			}
			ahead *= 2
			at = time.Now().Add(ahead)
		}
	}
	for _, stream := range []string{events.StreamEvents, events.StreamPostAlarms} {
		deadline := time.Now().Add(time.Minute)
		for seen := len(r.Sim.Posts()); len(r.Sim.Posts()) < min(seen+10, n) && time.Now().Before(deadline); {
			clock.Sleep(t.Context(), 10*time.Millisecond)
		}
		leader := c.Leader(r.Bus, stream)
		c.Kill(leader)
		for c.Leader(r.Bus, stream) == leader { // an election, while posts are due
			clock.Sleep(t.Context(), 20*time.Millisecond)
		}
		c.Start(leader)
	}
	for _, p := range posts {
		row := r.RowWithin(p.ID, events.StatePublished, 3*time.Minute)
		if count, _ := r.Arrivals(p.Text); count != 1 || row.MediaID == "" {
			t.Errorf("%q is at Threads %d times%s", p.Text, count, r.Rows())
		}
	}
	for _, p := range posts {
		if emitted := r.Emitted(p.ID, events.FactPublished); emitted != 1 {
			t.Errorf("%q was told as published %d times", p.Text, emitted)
		}
	}
}
