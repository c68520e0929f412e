package monitor_test

import (
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// metric is the value of a counter or gauge, or how many observations a histogram has; -1 when there is none.
func metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			has := make([]string, 0, len(m.GetLabel()))
			for _, l := range m.GetLabel() {
				has = append(has, l.GetValue())
			}
			if strings.Join(has, " ") == strings.Join(labels, " ") {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return -1
}

// It runs alone: metrics are those of the whole process.
func TestSurvey(t *testing.T) { //nolint:paralleltest // see above
	r := publishertest.New(t)
	s := r.Idle()
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	add := func(id string, state events.State, due, wake time.Time, more ...func(*posts.Post)) {
		p := posts.New(id, publishertest.User, r.Account.ID, events.Draft{Text: id}, due, now, r.Config.Timing())
		p.State, p.WakeAt = state, wake
		p.Canonicalize()
		for _, m := range more {
			m(p)
		}
		if _, err := r.DB.NewInsert().Model(p).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const minute = time.Minute
	add("later", events.StateScheduled, now.Add(time.Hour), now.Add(50*minute))
	add("prepared late", events.StateScheduled, now.Add(minute), ago(minute)) // due to be worked on, and yet not overdue
	add("overdue", events.StateReady, ago(3*minute), ago(4*minute))
	add("in hand", events.StatePublishing, ago(5*minute), ago(9*minute), func(p *posts.Post) { p.Lease, p.LeaseUntil = "me", now.Add(minute) })
	add("in doubt", events.StateUnconfirmed, ago(10*minute), now.Add(minute))
	add("paused", events.StateWaiting, ago(time.Hour), now.Add(minute), func(p *posts.Post) { p.Reason = events.Faultf(events.RateLimited, "Full.") })
	add("parked", events.StateParked, ago(2*time.Hour), time.Time{})
	add("cancelled", events.StateCancelled, ago(3*time.Hour), time.Time{})
	uses := []posts.QuotaUse{{AccountID: r.Account.ID, Quota: posts.QuotaPosts, At: ago(minute), PostID: "a"}, {AccountID: r.Account.ID, Quota: posts.QuotaPosts, At: ago(minute), PostID: "b"},
		{AccountID: "other", Quota: posts.QuotaPosts, At: ago(minute), PostID: "c"}, {AccountID: r.Account.ID, Quota: posts.QuotaPosts, At: ago(25 * time.Hour), PostID: "d"}}
	if err := posts.SpendQuota(t.Context(), r.DB, uses...); err != nil {
		t.Fatal(err)
	}
	_, err := r.DB.ExecContext(t.Context(), "INSERT INTO skipped_events (seq, type, post_id, account_id, why, skipped_at) VALUES (7, 'post.dreamt.v9', 'later', 'acct', 'unknown', now())")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Monitor.Measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Monitor.MeasureQuotas(t.Context()); err != nil {
		t.Fatal(err)
	}
	is := func(want float64, name string, labels ...string) {
		t.Helper()
		if got := metric(t, name, labels...); got < want || got > want+20 && want >= 60 || got > want && want < 60 {
			t.Errorf("%s %v is %g, want %g", name, labels, got, want)
		}
	}
	is(2, "threads_posts_overdue")
	is(300, "threads_posts_oldest_overdue_seconds")
	is(240, "threads_posts_neglected_seconds")
	is(1, "threads_posts_unsettled", "waiting")
	is(1, "threads_posts_unsettled", "unconfirmed")
	is(1, "threads_posts_unsettled", "parked")
	is(0, "threads_posts_unsettled", "concluding")
	is(7200, "threads_posts_unsettled_oldest_seconds", "parked")
	is(1, "threads_posts_waiting", "rate_limited")
	is(248, "threads_quota_headroom", "posts")
	is(1000, "threads_quota_headroom", "replies")
	is(0, "threads_dead_letters")
	is(1, "threads_facts_set_aside")
	is(0, "threads_recorder_behind")

	o, err := s.Monitor.GetOperations(t.Context(), asks.GetOperations{})
	if err != nil {
		t.Fatal(err)
	}
	states := map[events.State]int{}
	for _, u := range o.Unsettled {
		if states[u.State] = u.Posts; (u.Posts > 0) != (u.Oldest != nil) {
			t.Errorf("%+v", u)
		}
	}
	if o.Overdue.Posts != 2 || o.Overdue.Oldest == nil || states[events.StateParked] != 1 || states[events.StateUnconfirmed] != 1 || states[events.StateConcluding] != 0 ||
		o.DeadLetters != 0 || o.Skipped != 1 || o.Behind != 0 || o.Lateness.Posts != 0 {
		t.Errorf("%+v", o)
	}
	if len(o.Consumers) != len(events.Durables()) {
		t.Errorf("%d consumers", len(o.Consumers))
	}
	for _, c := range o.Consumers {
		if !c.Known {
			t.Errorf("it is not known how far %s is", c.Name)
		}
	}

	later := r.Any("later")
	if err := r.Bus.Emit(t.Context(), events.NewPostEvent(events.FactScheduled, later.Snapshot())); err != nil {
		t.Fatal(err)
	}
	if err := s.Monitor.Measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	is(1, "threads_recorder_behind")
	if o, err := s.Monitor.GetOperations(t.Context(), asks.GetOperations{}); err != nil || o.Behind != 1 {
		t.Errorf("%+v %v", o, err)
	}

	for _, ahead := range []time.Duration{42 * time.Second, -42 * time.Second, 0} {
		s.Monitor.Now = func() time.Time { return time.Now().Add(ahead) }
		if err := s.Monitor.Measure(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := metric(t, "threads_clock_ahead_of_postgres_seconds"); math.Abs(got-ahead.Seconds()) > 1 {
			t.Errorf("a clock that is %s ahead is said to be %g s ahead", ahead, got)
		}
	}
}

// How late the latest posts left is read from their rows: those that went out, each once, a chain by its first part.
func TestLatenessOfTheLatest(t *testing.T) { //nolint:paralleltest // metrics are those of the whole process
	r := publishertest.New(t)
	s := r.Idle()
	due := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	add := func(id string, state events.State, late time.Duration, change func(*posts.Post)) {
		p := posts.New(id, publishertest.User, r.Account.ID, events.Draft{Text: id}, due, due, r.Config.Timing())
		p.State, p.WakeAt, p.CalledAt = state, time.Time{}, due.Add(late)
		if state == events.StatePublished {
			p.MediaID = "media_" + id
		}
		if change != nil {
			change(p)
		}
		p.Canonicalize()
		if _, err := r.DB.NewInsert().Model(p).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, phase := range []string{"create", "publish", "publish"} { // tried twice
			r.Exec("INSERT INTO post_attempts (post_id, at, phase, took_ms, ok, message) VALUES (?, now(), ?, 1, true, '')", id, phase)
		}
	}
	add("at once", events.StatePublished, 4*time.Millisecond, nil)
	add("at the bound", events.StatePublished, 25*time.Millisecond, nil)
	add("late", events.StatePublished, 3*time.Second, nil)
	add("very late", events.StatePublished, 10*time.Minute, nil)
	add("failed", events.StateFailed, time.Millisecond, nil)
	first := due.Add(30 * time.Millisecond)
	add("chain", events.StatePublished, 20*time.Second, func(p *posts.Post) {
		p.Parts = []events.Part{{Text: "one", CalledAt: &first}, {Text: "two"}}
	})
	o, err := s.Monitor.GetOperations(t.Context(), asks.GetOperations{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[float64]int{}
	for _, b := range o.Lateness.Buckets {
		if b.Posts > 0 {
			got[b.UpToMs] = b.Posts
		}
	}
	if want := map[float64]int{10: 1, 25: 1, 50: 1, 5000: 1, 0: 1}; o.Lateness.Posts != 5 || !maps.Equal(got, want) {
		t.Errorf("%d posts, %v", o.Lateness.Posts, got)
	}
}

// What goes out is measured where it happens.
func TestMetrics(t *testing.T) { //nolint:paralleltest // metrics are those of the whole process
	r := publishertest.New(t)
	before := map[string]float64{}
	seen := func(name string, labels ...string) float64 { return max(metric(t, name, labels...), 0) }
	watched := [][]string{
		{"threads_publish_lateness_seconds", "no", "short"}, {"threads_post_facts_total", "published"}, {"threads_api_call_seconds", "publish", "ok"},
		{"threads_message_handle_seconds", "publisher-commands", "done"}, {"threads_posts_failed_total", "refused"}, {"threads_api_call_seconds", "create", "invalid"},
	}
	for _, w := range watched {
		before[strings.Join(w, " ")] = seen(w[0], w[1:]...)
	}
	r.Start()
	p := r.Schedule(200*time.Millisecond, "measured")
	r.Once(r.Await(p.ID, events.FactPublished))
	r.Inject(threadssim.Fault{Op: threads.OpCreate, Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100})
	r.Await(r.Schedule(200*time.Millisecond, "refused").ID, events.FactFailed)
	for _, w := range watched {
		// The command of the second post may have been measured before or after; what is emitted is emitted once.
		if was := before[strings.Join(w, " ")]; seen(w[0], w[1:]...) < was+1 {
			t.Errorf("%v has not grown from %g", w, was)
		}
	}
}

// A publisher whose table is locked says so, and is ready again when it is not.
func TestStuckReady(t *testing.T) {
	t.Parallel()
	r := publishertest.New(t)
	r.Config.StuckAfter = time.Second
	s, _ := r.Start()
	until := func(want string) {
		t.Helper()
		waiting.Until(t, "it is ready, or says why not: "+want, func() bool {
			err := s.Ready(t.Context())
			if want == "" {
				return err == nil
			}
			return err != nil && strings.Contains(err.Error(), want)
		})
	}
	until("")
	tx, err := r.DB.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "LOCK TABLE posts IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	until("could not be looked through")
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	until("")
}
