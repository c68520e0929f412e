package engagement

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func TestCollectInsights(t *testing.T) {
	t.Parallel()
	sys := setup(t)
	few := sys.connect("user_1", "few.scopes", threads.ScopeBasic)
	sys.cfg.InsightsEvery, sys.cfg.InsightsSpacing = 24*time.Hour, time.Millisecond
	s := sys.service()
	now := time.Now()
	s.now = func() time.Time { return now }
	nextAt := func() (at time.Time) {
		t.Helper()
		if err := sys.db.NewSelect().Table("insight_rounds").Column("next_at").Where("account_id = ?", sys.account.ID).Scan(t.Context(), &at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	once := func(s *Service) {
		t.Helper()
		if err := s.collectDue(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	once(s)
	if at := nextAt(); at.Before(now.Truncate(time.Millisecond)) || at.After(now.Add(firstWithin)) || sys.callsOf(threads.OpAccountInsights) != 0 {
		t.Errorf("the first collection is in %s", at.Sub(now))
	}

	// Threads is away: another try in an hour.
	if err := sys.sim.Inject(threadssim.Fault{Op: threads.OpAccountInsights, Kind: threadssim.Edge5xx}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(firstWithin)
	once(s)
	if wait := nextAt().Sub(now); wait < collectAgainAfter-time.Second || wait > collectAgainAfter {
		t.Errorf("the next try is in %s", wait)
	}

	// Two publishers at once: one collection.
	now = now.Add(collectAgainAfter)
	before := sys.callsOf(threads.OpAccountInsights)
	other := sys.service()
	other.now = s.now
	var wg sync.WaitGroup
	for _, one := range []*Service{s, other} {
		wg.Go(func() {
			if err := one.collectDue(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := sys.callsOf(threads.OpAccountInsights) - before; n != 1 {
		t.Errorf("%d calls in one collection", n)
	}
	if wait := nextAt().Sub(now); wait < 24*time.Hour-time.Second {
		t.Errorf("the next collection is in %s", wait)
	}
	var kept []string
	if err := sys.db.NewSelect().Table("insight_snapshots").ColumnExpr("DISTINCT account_id").Scan(t.Context(), &kept); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(kept, []string{sys.account.ID}) || slices.Contains(kept, few.ID) {
		t.Errorf("kept of %v", kept)
	}

	// Snapshots that are old enough are deleted.
	now = now.Add(sys.cfg.InsightsKept + time.Hour)
	if err := deleteSnapshots(t.Context(), sys.db, now.Add(-sys.cfg.InsightsKept)); err != nil {
		t.Fatal(err)
	}
	if n, err := sys.db.NewSelect().Table("insight_snapshots").Count(t.Context()); err != nil || n != 0 {
		t.Errorf("%d left, %v", n, err)
	}
}
