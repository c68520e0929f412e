package delivery_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
)

// A burst of one account at one second: each post is on Threads once, at its time, and all of it takes
// three calls a post and a few lists. The simulator's rule call_storm has nothing to say.
func TestBurstIsNoCallStorm(t *testing.T) {
	t.Parallel()
	const burst = 32
	r := setup(t)
	r.Config.PermalinkWait = waiting.Limit
	live := make(chan struct{})
	out := sync.OnceFunc(func() { close(live) })
	t.Cleanup(out)
	r.Behind(func(req *http.Request) {
		if strings.Contains(req.URL.RawQuery, "permalink") { // none has a link before all are out, as where links lag
			<-live
		}
	})
	r.Start()
	at := time.Now().Add(5 * time.Second)
	var all []events.Post
	for i := range burst {
		p, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, PublishAt: at,
			Draft: events.Draft{AccountID: r.Account.ID, Text: fmt.Sprint("of a burst ", i)}}, waiting.Limit)
		if fault != nil {
			t.Fatal(fault)
		}
		all = append(all, p)
	}
	for len(r.Sim.Posts()) < burst && clock.Sleep(t.Context(), 20*time.Millisecond) {
	}
	out()
	for _, p := range all {
		r.Once(r.Await(p.ID, events.FactPublished)) // with its permalink, or where the machine was slow without: then an event of its own brings it later
	}
	calls := map[string]int{}
	for _, c := range r.Sim.Calls() {
		calls[c.Op]++
	}
	if calls[threads.OpCreate] > burst+burst/4 || calls[threads.OpStatus] > burst+burst/4 || calls[threads.OpPublish] != burst || calls[threads.OpMedia] > burst/4 || calls[threads.OpPosts] > burst/4 {
		t.Errorf("calls: %v", calls)
	}
	for _, m := range r.Sim.Mistakes(0) {
		t.Errorf("a broken rule: %+v", m)
	}
}
