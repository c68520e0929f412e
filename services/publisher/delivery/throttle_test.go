package delivery_test

import (
	"slices"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// Whichever call Threads throttles, it is made again when Threads says, or after ThrottleWait where it says nothing.
func TestOneRuleForThrottles(t *testing.T) {
	t.Parallel()
	photo := events.Media{Type: events.Image, URL: "https://cdn.example/a.jpg"}
	refused := &threadssim.Fault{Op: threads.OpPublish, Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 4}
	lost := &threadssim.Fault{Op: threads.OpPublish, Kind: threadssim.DropResponse}
	for name, c := range map[string]struct {
		op     string
		media  []events.Media
		before *threadssim.Fault // without which the call is not made
		says   bool              // Threads says how long
	}{
		"create":          {op: threads.OpCreate},
		"create, says":    {op: threads.OpCreate, says: true},
		"create a child":  {op: threads.OpCreate, media: []events.Media{photo, photo}},
		"status":          {op: threads.OpStatus},
		"status, says":    {op: threads.OpStatus, says: true},
		"publish":         {op: threads.OpPublish},
		"publish, says":   {op: threads.OpPublish, says: true},
		"limits":          {op: threads.OpLimits, before: refused},
		"look":            {op: threads.OpPosts, before: lost},
		"read permalinks": {op: threads.OpMedia},
		"delete":          {op: threads.OpDelete},
		"delete, says":    {op: threads.OpDelete, says: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			r.Config.PermalinkWait = 20 * time.Second
			r.Config.ThrottleWait = 100 * time.Millisecond
			if c.says {
				r.Config.ThrottleWait = 24 * time.Hour
			}
			r.Start()
			if c.before != nil {
				if err := r.Sim.Inject(*c.before); err != nil {
					t.Fatal(err)
				}
			}
			err := r.Sim.SetKnobs(func(k *threadssim.Knobs) {
				k.Throttle = threadssim.Throttle{Probability: 1, Code: 4, Ops: threadssim.Ops{c.op}}
				if c.says {
					k.Throttle.RetryAfter = threadssim.Duration(time.Second)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			p, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: name, Media: c.media}, PublishAt: time.Now()}, 5*time.Second)
			if fault != nil {
				t.Fatal(fault)
			}
			if c.op == threads.OpDelete {
				r.Await(p.ID, events.FactPublished)
				if err := r.Bus.Send(t.Context(), events.DeletePost{ID: p.ID, UserID: testUser}, bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
					t.Fatal(err)
				}
			}
			r.called(func(call threadssim.Call) bool { return call.Op == c.op && call.Code == 4 })
			r.Sim.ResetKnobs()
			if c.op == threads.OpDelete {
				r.Await(p.ID, events.FactDeleted)
				return
			}
			if p = r.Await(p.ID, events.FactPublished); p.Permalink == nil {
				t.Error("it is told without its permalink")
			}
			r.Once(p)
		})
	}
}

// called waits until Threads has had such a call.
func (r *system) called(such func(threadssim.Call) bool) {
	r.T.Helper()
	for deadline := time.Now().Add(waiting.Limit); !slices.ContainsFunc(r.Sim.Calls(), such); {
		if time.Now().After(deadline) {
			r.T.Fatalf("there was no such call: %s", r.Rows())
		}
		clock.Sleep(r.T.Context(), 5*time.Millisecond)
	}
}
