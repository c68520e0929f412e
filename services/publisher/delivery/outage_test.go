package delivery_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sort"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/breaker"
)

// Posts that an outage held up go out spaced, and those of the present hour do not wait for them.
func TestSpacingAfterAnOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.LateAfter, r.cfg.Spacing = 500*time.Millisecond, 600*time.Millisecond
	s, stop := r.start()
	var ids []string
	for i := range 4 {
		ids = append(ids, r.schedule(time.Hour, fmt.Sprint("held up ", i)).ID)
	}
	stop()
	_ = s
	if _, err := r.db.ExecContext(t.Context(), "UPDATE posts SET publish_at = now() - interval '10 minutes', wake_at = now()"); err != nil {
		t.Fatal(err)
	}
	r.start()
	var at []time.Time
	for _, id := range ids {
		r.await(id, events.FactPublished)
		at = append(at, r.usedAt(id))
	}
	sort.Slice(at, func(i, j int) bool { return at[i].Before(at[j]) })
	for i := 1; i < len(at); i++ {
		if apart := at[i].Sub(at[i-1]); apart < r.cfg.Spacing {
			t.Errorf("posts %d and %d were claimed %s apart", i-1, i, apart)
		}
	}
}

// usedAt is when the claim of a post took its place of the quota, by the clock that spaces claims.
func (r *rig) usedAt(id string) (at time.Time) {
	r.t.Helper()
	if err := r.db.NewSelect().Model((*posts.QuotaUse)(nil)).Column("at").Where("post_id = ?", id).Scan(r.t.Context(), &at); err != nil {
		r.t.Fatal(err)
	}
	return at
}

// While Threads does not answer, posts wait with a reason and few calls are made; when it is back they go out by themselves.
func TestThreadsDown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var down atomic.Bool
	var knocks atomic.Int64
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if down.Load() {
			knocks.Add(1)
			http.Error(w, "<html>down</html>", http.StatusServiceUnavailable)
			return
		}
		r.sim.ServeHTTP(w, req)
	}))
	t.Cleanup(edge.Close)
	r.cfg.APIURL = edge.URL
	r.cfg.BreakerAfter, r.cfg.BreakerRetry = 5, 300*time.Millisecond
	r.api = threads.New(r.cfg.Threads())
	r.start()
	began := time.Now()
	down.Store(true)
	const posts = 20
	var list []events.Post
	for i := range posts {
		list = append(list, r.schedule(400*time.Millisecond, fmt.Sprint("through the outage ", i)))
	}
	for _, p := range list {
		if waiting := r.await(p.ID, events.FactPostponed); waiting.Reason.Code != events.Unavailable {
			t.Fatalf("it waits because %+v", waiting.Reason)
		}
	}
	// What was under way when it was found to be down, and then a few each time that it is tried again.
	tried := 1 + time.Since(began)/r.cfg.BreakerRetry
	if n, most := knocks.Load(), int64(posts+r.cfg.BreakerAfter)+breaker.Probes*int64(tried); n > most {
		t.Errorf("%d calls were made to a Threads that is down, and %d at most may be", n, most)
	}
	down.Store(false)
	for _, p := range list {
		r.once(r.await(p.ID, events.FactPublished))
	}
}
