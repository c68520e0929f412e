package delivery_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/breaker"
)

// Posts that an outage held up go out spaced, and those of the present hour do not wait for them.
func TestSpacingAfterAnOutage(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.LateAfter, r.Config.Spacing = 500*time.Millisecond, 600*time.Millisecond
	s, stop := r.Start()
	var ids []string
	for i := range 4 {
		ids = append(ids, r.Schedule(time.Hour, fmt.Sprint("held up ", i)).ID)
	}
	stop()
	_ = s
	if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET publish_at = now() - interval '10 minutes', wake_at = now()"); err != nil {
		t.Fatal(err)
	}
	r.Start()
	var at []time.Time
	for _, id := range ids {
		r.Await(id, events.FactPublished)
		at = append(at, r.usedAt(id))
	}
	sort.Slice(at, func(i, j int) bool { return at[i].Before(at[j]) })
	for i := 1; i < len(at); i++ {
		if apart := at[i].Sub(at[i-1]); apart < r.Config.Spacing {
			t.Errorf("posts %d and %d were claimed %s apart", i-1, i, apart)
		}
	}
}

// The owner of a post that keeps its distance after an outage sees why it waits, and when it goes out.
func TestSpacedPostsSayWhen(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.Spacing = time.Hour
	_, stop := r.Start()
	for i := range 3 {
		r.Schedule(time.Hour, fmt.Sprint("held up ", i))
	}
	stop()
	if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET publish_at = now() - interval '10 minutes', wake_at = now()"); err != nil {
		t.Fatal(err)
	}
	r.Start()
	spaced := func() (list []events.Post) {
		t.Helper()
		all, err := bus.Ask[asks.PostList](waiting.Context(t), r.Bus, asks.ListPosts{UserID: testUser})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all.Posts {
			if p.Reason != nil {
				list = append(list, p)
			}
		}
		return list
	}
	waiting.Until(t, "two posts that say why they wait", func() bool { return len(spaced()) == 2 })
	for code, want := range map[events.Code]int{events.RateLimited: 2, events.Paused: 0} {
		list, err := bus.Ask[asks.PostList](waiting.Context(t), r.Bus, asks.ListPosts{UserID: testUser, Reason: code})
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Posts) != want {
			t.Errorf("%d posts are found that wait with %s, not %d", len(list.Posts), code, want)
		}
	}
	for _, p := range spaced() {
		one, err := bus.Ask[asks.PostDetail](waiting.Context(t), r.Bus, asks.GetPost{UserID: testUser, ID: p.ID})
		if err != nil {
			t.Fatal(err)
		}
		row := r.Any(p.ID)
		for _, reason := range []*events.Fault{p.Reason, one.Reason} {
			if reason == nil || reason.Code != events.RateLimited || reason.RetryAfter < 1 || reason.RetryAfter > 7200 ||
				!strings.Contains(reason.Message, "goes out at "+row.WakeAt.UTC().Format(time.RFC3339)) {
				t.Errorf("a post that is looked at at %s says %+v", row.WakeAt, reason)
			}
		}
		if row.Reason != nil || row.Rev != one.Rev || one.State != events.StateReady {
			t.Errorf("the row was touched: %+v", row)
		}
	}
}

// usedAt is when the claim of a post took its place of the quota, by the clock that spaces claims.
func (r *system) usedAt(id string) (at time.Time) {
	r.T.Helper()
	if err := r.DB.NewSelect().Model((*posts.QuotaUse)(nil)).Column("at").Where("post_id = ?", id).Scan(r.T.Context(), &at); err != nil {
		r.T.Fatal(err)
	}
	return at
}

// While Threads does not answer, posts wait with a reason and few calls are made; when it is back they go out by themselves.
func TestThreadsDown(t *testing.T) {
	t.Parallel()
	r := setup(t)
	var down atomic.Bool
	var knocks atomic.Int64
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if down.Load() {
			knocks.Add(1)
			http.Error(w, "<html>down</html>", http.StatusServiceUnavailable)
			return
		}
		r.Sim.ServeHTTP(w, req)
	}))
	t.Cleanup(edge.Close)
	r.Config.APIURL = edge.URL
	r.Config.BreakerAfter, r.Config.BreakerRetry = 5, 300*time.Millisecond
	r.API = threads.New(r.Config.Threads())
	r.Start()
	began := time.Now()
	down.Store(true)
	const posts = 20
	var list []events.Post
	for i := range posts {
		list = append(list, r.Schedule(400*time.Millisecond, fmt.Sprint("through the outage ", i)))
	}
	for _, p := range list {
		if waiting := r.Await(p.ID, events.FactPostponed); waiting.Reason.Code != events.Unavailable {
			t.Fatalf("it waits because %+v", waiting.Reason)
		}
	}
	// What was under way when it was found to be down, and then a few each time that it is tried again.
	tried := 1 + time.Since(began)/r.Config.BreakerRetry
	if n, most := knocks.Load(), int64(posts+r.Config.BreakerAfter)+breaker.Probes*int64(tried); n > most {
		t.Errorf("%d calls were made to a Threads that is down, and %d at most may be", n, most)
	}
	down.Store(false)
	for _, p := range list {
		r.Once(r.Await(p.ID, events.FactPublished))
	}
}
