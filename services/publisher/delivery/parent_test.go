package delivery_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// A post of ours that went live a moment ago may not be seen everywhere yet. What refers to it waits, and goes out.
func TestParentNotSeenYet(t *testing.T) {
	t.Parallel()
	unseen := threadssim.Fault{Op: threads.OpCreate, Kind: threadssim.NotFound, Times: 2}

	t.Run("by the next part of its chain", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		second := unseen
		second.Nth = 2
		r.Inject(second)
		r.Start()
		p := r.chain(400*time.Millisecond, "one", "two")
		r.threaded(r.Await(p.ID, events.FactPublished))
	})

	for name, refer := range map[string]func(id string) events.Draft{
		"by a reply":                 func(id string) events.Draft { return events.Draft{Text: "second", ReplyTo: id} },
		"by a quote":                 func(id string) events.Draft { return events.Draft{Text: "second", QuotePostID: id} },
		"by a repost":                func(id string) events.Draft { return events.Draft{RepostOf: id} },
		"by a reply to its media id": func(id string) events.Draft { return events.Draft{Text: "second", ReplyTo: id} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			r.Start()
			first := r.Await(r.Schedule(0, "first").ID, events.FactPublished)
			id := first.ID
			if strings.HasSuffix(name, "media id") {
				id = *first.PostedTweetID
			}
			draft, fault := refer(id), unseen
			if draft.RepostOf != "" {
				fault.Op, fault.Times = threads.OpRepost, 1
			}
			r.Inject(fault)
			r.Await(r.accepted(draft, 0).ID, events.FactPublished)
		})
	}

	t.Run("where Threads names the parameter", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		refused := 0
		edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body, _ := io.ReadAll(req.Body)
			req.Body = io.NopCloser(bytes.NewReader(body))
			if bytes.Contains(body, []byte("reply_to_id=")) && refused < 2 {
				refused++
				w.WriteHeader(http.StatusInternalServerError)
				_, _ = io.WriteString(w, `{"error":{"message":"Param reply_to_id is not a valid threads_media ID","type":"THApiException","code":100}}`)
				return
			}
			r.Sim.ServeHTTP(w, req)
		}))
		t.Cleanup(edge.Close)
		r.Config.APIURL = edge.URL
		r.API = threads.New(r.Config.Threads())
		r.Start()
		p := r.chain(400*time.Millisecond, "one", "two")
		r.threaded(r.Await(p.ID, events.FactPublished))
	})

	t.Run("a stranger's post that is not there is not waited for", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		failed := r.Await(r.accepted(events.Draft{Text: "second", ReplyTo: "18060000000000017"}, 0).ID, events.FactFailed)
		if failed.Reason.Code != events.Refused || !strings.Contains(failed.Reason.Message, "refers to") {
			t.Errorf("it failed with %+v", failed.Reason)
		}
		creations := 0
		for _, call := range r.Sim.Calls() {
			if call.Op == threads.OpCreate {
				creations++
			}
		}
		if creations != 1 {
			t.Errorf("it was tried %d times", creations)
		}
	})
}

// A reply to a post that failed may still have a place to go: the other may be tried again, until the reply's own time is over.
func TestParentFailed(t *testing.T) {
	t.Parallel()
	refused := threadssim.Fault{Op: threads.OpCreate, Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100}

	waiting := func(t *testing.T, within int) (r *system, first, reply events.Post) {
		t.Helper()
		r = setup(t)
		r.Start()
		first = r.Schedule(time.Hour, "first")
		reply = r.accepted(events.Draft{Text: "second", ReplyTo: first.ID, PublishWithin: within}, 0)
		r.Await(reply.ID, events.FactPostponed)
		r.Inject(refused)
		at := time.Now()
		if _, fault := r.Do(events.EditPost{PostID: first.ID, UserID: testUser, PublishAt: &at}, 5*time.Second); fault != nil {
			t.Fatal(fault)
		}
		r.Await(first.ID, events.FactFailed)
		return r, first, reply
	}

	t.Run("it goes out when the other does after all", func(t *testing.T) {
		t.Parallel()
		r, first, reply := waiting(t, 3600)
		emitted := func() bool {
			row := r.Any(reply.ID)
			return row.State == events.StateWaiting && row.Reason.Code == events.Refused
		}
		for deadline := time.Now().Add(time.Minute); !emitted(); clock.Sleep(t.Context(), 10*time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it does not say that the other failed: %s", r.Rows())
			}
		}
		if _, fault := r.Do(events.RetryPost{PostID: first.ID, UserID: testUser, PublishAt: time.Now()}, 5*time.Second); fault != nil {
			t.Fatal(fault)
		}
		r.Await(first.ID, events.FactPublished)
		r.Await(reply.ID, events.FactPublished)
	})

	t.Run("it fails with the cause when its time is over", func(t *testing.T) {
		t.Parallel()
		r, _, reply := waiting(t, 60)
		if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET publish_at = now() - interval '50 seconds' WHERE id = ?", reply.ID); err != nil {
			t.Fatal(err)
		}
		failed := r.Await(reply.ID, events.FactFailed)
		if failed.Reason.Code != events.Missed || !strings.Contains(failed.Reason.Message, "The post that this one refers to did not go out") {
			t.Errorf("it failed with %+v", failed.Reason)
		}
	})
}

// A post that was deleted right after it went live may not be seen yet: that is no proof that it is gone.
func TestDeletedBeforeItIsSeen(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	p := r.Await(r.Schedule(0, "taken back at once").ID, events.FactPublished)
	r.Inject(threadssim.Fault{Op: threads.OpMedia, Kind: threadssim.NotFound, Times: 6})
	r.Inject(threadssim.Fault{Op: threads.OpDelete, Kind: threadssim.NotFound, Times: 3})
	if _, fault := r.Do(events.DeletePost{ID: p.ID, UserID: testUser}, 20*time.Second); fault != nil {
		t.Fatal(fault)
	}
	for _, at := range r.Sim.Posts() {
		if at.Text == p.Text && !at.Deleted {
			t.Errorf("it is told as deleted, and Threads has it: %s", r.Rows())
		}
	}
}
