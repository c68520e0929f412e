package delivery_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
)

// While posts that are due wait for their call, what comes after a call waits: answers are saved, permalinks are not asked for.
func TestCallsComeFirstInARush(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.CallsInFlight, r.Config.CallsPerAccount = 2, 32
	r.Config.Lease = time.Hour // a rush that does not end is waited for a part of it
	var calls atomic.Int32
	rush, over := make(chan struct{}), make(chan struct{})
	begin, end := sync.OnceFunc(func() { close(rush) }), sync.OnceFunc(func() { close(over) })
	t.Cleanup(begin)
	t.Cleanup(end)
	r.Behind(func(req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/threads_publish") {
			<-rush
			if calls.Add(1) == 1 {
				<-over
			}
		}
	})
	s, _ := r.Start()
	at := time.Now().Add(3 * time.Second)
	var all []events.Post
	for i := range 12 {
		p, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, PublishAt: at, Draft: events.Draft{Text: fmt.Sprint("of a rush ", i)}}, waiting.Limit)
		if fault != nil {
			t.Fatal(fault)
		}
		all = append(all, p)
	}
	waiting.Until(t, "more are due than may be claimed", s.Delivery.InRush)
	begin()
	waiting.Until(t, "all but one are called and saved", func() bool {
		return r.count("SELECT count(*) FROM posts WHERE state = 'concluding'") == len(all)-1
	})
	for _, c := range r.Sim.Calls() {
		if c.Op == threads.OpMedia || c.Op == threads.OpPosts {
			t.Errorf("a permalink was asked for in the rush: %+v", c)
		}
	}
	end()
	for _, p := range all {
		r.Once(r.Await(p.ID, events.FactPublished))
	}
}
