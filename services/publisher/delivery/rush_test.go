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
	r, all, _, end := rush(t)
	for _, c := range r.Sim.Calls() {
		if c.Op == threads.OpMedia || c.Op == threads.OpPosts {
			t.Errorf("a permalink was asked for in the rush: %+v", c)
		}
	}
	if n := r.count("SELECT count(*) FROM posts WHERE state = 'concluding' AND wake_at < now() + interval '61 minutes'"); n != len(all)-1 {
		t.Errorf("the sweep would find %d of them, were the process to die", n)
	}
	end()
	for _, p := range all {
		r.Once(r.Await(p.ID, events.FactPublished))
	}
}

// A process that is told to stop in a rush does not wait for its end to emit what it has saved.
func TestStopInARush(t *testing.T) {
	t.Parallel()
	r, all, stop, end := rush(t)
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	waiting.Until(t, "what was saved is emitted", func() bool {
		return r.count("SELECT count(*) FROM posts WHERE state = 'published'") == len(all)-1
	})
	end()
	<-stopped
	for _, p := range all {
		r.Once(r.Await(p.ID, events.FactPublished))
	}
}

// rush is a system with twelve posts that are due, of which all but one are called and saved: the call of that one lasts until end.
func rush(t *testing.T) (r *system, all []events.Post, stop, end func()) {
	t.Helper()
	r = setup(t)
	r.Config.CallsInFlight, r.Config.CallsPerAccount = 2, 32
	r.Config.CallTimeout, r.Config.Lease = waiting.Limit, time.Hour // calls are held, and a rush that does not end is waited for a part of the lease
	var calls atomic.Int32
	began, over := make(chan struct{}), make(chan struct{})
	begin := sync.OnceFunc(func() { close(began) })
	end = sync.OnceFunc(func() { close(over) })
	t.Cleanup(begin)
	t.Cleanup(end)
	r.Behind(func(req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/threads_publish") {
			<-began
			if calls.Add(1) == 1 {
				<-over
			}
		}
	})
	s, stop := r.Start()
	at := time.Now().Add(3 * time.Second)
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
	return r, all, stop, end
}
