package delivery_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher/delivery"
)

// Two workers have read the same ready row. The first one's call comes back to ready (24/4279009), which leaves state and
// rev as they were; the second must find that it lost, and not call without having looked.
func TestStaleClaim(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s, stop := r.Start()
	p := r.Schedule(time.Minute, "stale claim")
	r.Row(p.ID, events.StateReady)
	stop() // from here on nobody works but the test
	useBus(s, r.Bus)
	if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET publish_at = now(), wake_at = now()"); err != nil {
		t.Fatal(err)
	}
	first, second := r.Row(p.ID, events.StateReady), r.Row(p.ID, events.StateReady)
	r.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.NotFound})
	if end, err := s.Delivery.Publish(context.Background(), &first); err != nil || end != delivery.Moved {
		t.Fatal(err)
	}
	if _, err := s.Delivery.Publish(context.Background(), &second); !errors.Is(err, posts.ErrLost) {
		t.Errorf("the second worker got %v", err)
	}
	if row := r.Row(p.ID, events.StateReady); row.Attempt != 1 || row.NotReady != 1 {
		t.Errorf("the row forgot the first call: %s", r.Rows())
	}
}

// "Not found" can hide a success. A post whose time, or whose container, ends before the next call is looked for first.
func TestHiddenSuccess(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"its container dies": "container_at = now() - interval '23 hours 30 minutes'",
		"its time passes":    "publish_at = publish_at - interval '25 hours'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			s, stop := r.Start()
			p := r.Schedule(time.Minute, name)
			r.Row(p.ID, events.StateReady)
			stop()
			useBus(s, r.Bus)
			if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET publish_at = now(), wake_at = now()"); err != nil {
				t.Fatal(err)
			}
			row := r.Row(p.ID, events.StateReady)
			r.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.ErrorAfterCommit, HTTP: 400, Code: 24, Subcode: 4279009})
			if end, err := s.Delivery.Publish(context.Background(), &row); err != nil || end != delivery.Moved {
				t.Fatal(err)
			}
			if row := r.Row(p.ID, events.StateReady); row.Attempt != 1 {
				t.Fatalf("the call was not made: %s", r.Rows())
			}
			if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET "+change+", wake_at = now()"); err != nil {
				t.Fatal(err)
			}
			r.Start()
			live := r.Await(p.ID, events.FactPublished)
			if n, _ := r.Arrivals(name); n != 1 || *live.PostedTweetID != r.Sim.Posts()[0].ID {
				t.Errorf("Threads has it %d times", n)
			}
		})
	}
}

// A token that is replaced during the call is no reason to trouble its owner: the post goes out with the new one.
func TestTokenReplacedDuringTheCall(t *testing.T) {
	t.Parallel()
	r := setup(t)
	var once sync.Once
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/threads_publish") {
			once.Do(func() {
				if err := r.Sim.Revoke("demo.user", 0); err != nil {
					t.Error(err)
				}
				r.Connect(testUser, "demo.user")
			})
		}
		r.Sim.ServeHTTP(w, req)
	}))
	t.Cleanup(edge.Close)
	r.API = threads.New(threads.Config{BaseURL: edge.URL, AppID: threadssim.DefaultAppID, AppSecret: threadssim.DefaultAppSecret,
		PublishTimeout: r.Config.CallTimeout, HTTP: &http.Client{Transport: &http.Transport{}}})
	r.Start()
	p := r.Await(r.Schedule(300*time.Millisecond, "with the new token").ID, events.FactPublished)
	r.Once(p)
	for _, fact := range []events.PostFact{events.FactPostponed, events.FactUnconfirmed} {
		if n := r.Emitted(p.ID, fact); n != 0 {
			t.Errorf("its owner was told %d times that it is %s", n, fact)
		}
	}
	stream, err := r.Bus.JetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.GetLastMsgForSubject(t.Context(), "threads.evt.account."+r.Account.ID+".reconnect_required"); !errors.Is(err, jetstream.ErrMsgNotFound) {
		t.Errorf("its owner was asked to reconnect: %v", err)
	}
}
