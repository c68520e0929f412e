package delivery_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher/delivery"
)

// afterAnswer has something done when Threads has answered the nth publish call, before the answer arrives.
func (r *system) afterAnswer(nth int, do func()) {
	r.T.Helper()
	var mu sync.Mutex
	calls := 0
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		answer := httptest.NewRecorder()
		r.Sim.ServeHTTP(answer, req)
		if strings.HasSuffix(req.URL.Path, "/threads_publish") {
			mu.Lock()
			calls++
			if calls == nth {
				do()
			}
			mu.Unlock()
		}
		for k, v := range answer.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	r.T.Cleanup(edge.Close)
	r.API = threads.New(threads.Config{BaseURL: edge.URL, AppID: threadssim.DefaultAppID, AppSecret: threadssim.DefaultAppSecret,
		PublishTimeout: 30 * time.Second, HTTP: &http.Client{Transport: &http.Transport{}}})
}

// postsAway makes every statement on posts fail from now on, as an outage of Postgres does. leaseOver is closed when the
// lease of the post in hand has lapsed meanwhile; back ends it.
func (r *system) postsAway() (leaseOver <-chan struct{}, back func()) {
	r.T.Helper()
	tx, err := r.DB.BeginTx(context.Background(), nil)
	if err != nil {
		r.T.Error(err)
	}
	if _, err := tx.Exec("LOCK TABLE posts IN ACCESS EXCLUSIVE MODE"); err != nil {
		r.T.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		lapsed := false
		for clock.Sleep(ctx, 20*time.Millisecond) {
			for _, q := range []string{"SELECT pg_stat_clear_snapshot()", `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid() AND wait_event_type = 'Lock'`} {
				if _, err := tx.Exec(q); err != nil {
					r.T.Error(err)
				}
			}
			was := lapsed
			err := tx.NewRaw("SELECT bool_and(lease_until < clock_timestamp()) FROM posts WHERE state = 'publishing'").Scan(ctx, &lapsed)
			if err != nil && ctx.Err() == nil {
				r.T.Error(err)
			}
			if lapsed && !was {
				close(over)
			}
		}
	}()
	return over, sync.OnceFunc(func() {
		cancel()
		<-done
		_ = tx.Rollback()
	})
}

func logged(t *testing.T, r *system, id, phase string) (lines []asks.Attempt) {
	t.Helper()
	tried, err := posts.NewStore(r.DB, 0, 0).Attempts(t.Context(), r.DB, id)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(tried, func(a asks.Attempt) bool { return a.Phase != phase })
}

// A media id that Threads gave is worth more than a place in a batch, a lease, or an outage.
func TestAnswerOutlivesPostgres(t *testing.T) {
	t.Parallel()
	outage := func(r *system) (begun chan struct{}, end func()) {
		begun = make(chan struct{})
		var leaseOver <-chan struct{}
		var back func()
		r.afterAnswer(2, func() {
			leaseOver, back = r.postsAway()
			close(begun)
		})
		return begun, func() { <-leaseOver; back() }
	}

	t.Run("a reply that nobody may look for is published, and its call is in the log", func(t *testing.T) {
		t.Parallel()
		r := setup(t) // without threads_read_replies
		begun, end := outage(r)
		r.Start()
		p := r.chain(500*time.Millisecond, "one", "two")
		<-begun
		end()
		live := r.Await(p.ID, events.FactPublished)
		r.threaded(live)
		row := r.Row(p.ID, events.StatePublished)
		if row.Parts[1].MediaID != live.Parts[1].MediaID || r.Emitted(p.ID, events.FactParked) != 0 {
			t.Errorf("the row is %+v", row)
		}
		if calls := logged(t, r, p.ID, "publish"); len(calls) != 2 || !calls[0].OK || !calls[1].OK {
			t.Errorf("the log of the calls is %+v", calls)
		}
	})

	t.Run("a publisher that is stopped meanwhile saves it first", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		begun, end := outage(r)
		_, stop := r.Start()
		p := r.chain(500*time.Millisecond, "one", "two")
		<-begun
		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		end()
		<-stopped
		row := r.Any(p.ID)
		if !row.PartlyPublished() || row.Parts[1].MediaID == "" {
			t.Errorf("the row is %s with %+v%s", row.State, row.Parts, r.Rows())
		}
	})
}

// What an answer leads to is emitted after what was not emitted before it, and is saved before either.
func TestAnswerIsSavedBeforeOlderFacts(t *testing.T) {
	t.Parallel()
	r := setup(t)
	_, stop := r.Start()
	p := r.Schedule(time.Minute, "untold before")
	before := r.Row(p.ID, events.StateReady)
	for before.EmittedRev < before.Rev {
		clock.Sleep(t.Context(), 10*time.Millisecond)
		before = r.Any(p.ID)
	}
	stop()
	s := r.Idle()
	if _, err := r.DB.NewRaw("UPDATE posts SET told_rev = 0").Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	before = r.Any(p.ID)
	claimed, err := s.Delivery.Claim(t.Context(), &before)
	if err != nil {
		t.Fatal(err)
	}
	deaf := bustest.Connect(t, r.NATS, "publisher")
	if err := deaf.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	useBus(s, deaf)
	called := time.Now()
	_, err = s.Delivery.RecordSuccess(t.Context(), claimed, "18060000000000017", "https://www.threads.com/@demo.user/post/x", called, called, asks.Attempt{At: called, Phase: "publish", OK: true})
	if err == nil {
		t.Fatalf("told without NATS: %v", err)
	}
	if row := r.Any(p.ID); row.State != events.StateConcluding || row.MediaID != "18060000000000017" {
		t.Errorf("the answer is not in the row: %s %q", row.State, row.MediaID)
	}
}

// The last resort of a process that ends: EVENTS takes the answer, and the row becomes what it says, wherever others have
// moved it meanwhile.
func TestLastWordOfAnAnswer(t *testing.T) {
	t.Parallel()
	r := setup(t)
	_, stop := r.Start()
	p := r.Schedule(time.Minute, "the last word")
	before := r.Row(p.ID, events.StateReady)
	stop()
	s := r.Idle()
	claimed, err := s.Delivery.Claim(t.Context(), &before)
	if err != nil {
		t.Fatal(err)
	}
	called := time.Now()
	a := s.Delivery.AnswerOf(claimed, "18060000000000018", called, called, asks.Attempt{At: called, Phase: "publish", OK: true})
	// Another publisher has found the call without an answer, and nobody may look.
	row := r.Any(p.ID)
	if err := s.Delivery.Park(t.Context(), &row, delivery.ListNotReadable()); err != nil {
		t.Fatal(err)
	}
	if err := a.LastWord(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Start()
	if row := r.Row(p.ID, events.StatePublished); row.MediaID != "18060000000000018" || row.Rev <= before.Rev+1 {
		t.Errorf("the row is %+v", row)
	}
	if !a.Awaited(claimed) || a.Awaited(&posts.Post{State: events.StatePublished, Attempt: 1}) {
		t.Error("a row that has ended still waits for an answer")
	}
}
