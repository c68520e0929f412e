package delivery_test

import (
	"context"
	"fmt"
	"sort"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// Posts whose hour is some time away wait with an alarm, not in the hands of a process: what waits there is bounded for all
// processes together, and the posts of others would not be woken.
func TestWaitsHaveAlarms(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	var ids []string
	for i := range 5 {
		ids = append(ids, r.Schedule(50*time.Second, fmt.Sprint("in a while ", i)).ID)
	}
	for _, id := range ids {
		r.Row(id, events.StateReady)
	}
	alarms, err := r.Bus.JetStream().Stream(t.Context(), events.StreamPostAlarms)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(waiting.Limit); ; clock.Sleep(t.Context(), 20*time.Millisecond) {
		due, err := alarms.Consumer(t.Context(), events.PublisherDue)
		if err != nil {
			t.Fatal(err)
		}
		if info := due.CachedInfo(); info.NumAckPending == 0 && info.NumPending == 0 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%d wake-ups are in hand", info.NumAckPending)
		}
	}
	for _, id := range ids {
		if m, err := alarms.GetLastMsgForSubject(t.Context(), events.PostAlarm(id)); err != nil || m == nil {
			t.Errorf("%s has no alarm: %v", id, err)
		}
	}
}

// After an outage each overdue post of an account gets a time of its own: it is claimed once or twice, not again for every
// other that goes out.
func TestOverduePostsTakeTurns(t *testing.T) {
	t.Parallel()
	r := setup(t)
	const many = 30
	r.Config.LateAfter, r.Config.Spacing = 500*time.Millisecond, 300*time.Millisecond
	_, stop := r.Start()
	var ids []string
	for i := range many {
		ids = append(ids, r.Schedule(time.Hour, fmt.Sprint("held up ", i)).ID)
	}
	stop()
	if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET publish_at = publish_at - interval '2 hours', wake_at = now() - interval '2 hours'"); err != nil {
		t.Fatal(err)
	}
	s := r.Idle()
	var claims atomic.Int64
	work := s.Delivery.Claims().Work
	s.Delivery.Claims().Work = func(ctx context.Context, batch []posts.Claim) []error {
		claims.Add(int64(len(batch)))
		return work(ctx, batch)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
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
	if n := claims.Load(); n > many*many/4 { // half of the square of them when they race
		t.Errorf("%d posts took %d claims", many, n)
	}
}
