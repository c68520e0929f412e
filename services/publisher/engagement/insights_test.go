package engagement

import (
	"context"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

func TestReadsKept(t *testing.T) {
	t.Parallel()
	sys := setup(t)
	sys.cfg.ReadsKept = time.Minute
	s := sys.service()
	now := time.Now()
	s.now = func() time.Time { return now }
	read := func(q asks.GetAccountInsights) asks.Insights {
		t.Helper()
		q.UserID = "user_1"
		i, err := s.GetAccountInsights(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	first, again := read(asks.GetAccountInsights{}), read(asks.GetAccountInsights{})
	if n := sys.callsOf(threads.OpAccountInsights); n != 1 || !first.ReadAt.Equal(again.ReadAt) || len(again.Metrics) == 0 {
		t.Errorf("%d calls for the same figures", n)
	}
	read(asks.GetAccountInsights{Metrics: []string{"likes"}})
	if n := sys.callsOf(threads.OpAccountInsights); n != 2 {
		t.Errorf("%d calls for two questions", n)
	}
	now = now.Add(time.Minute)
	read(asks.GetAccountInsights{})
	if n := sys.callsOf(threads.OpAccountInsights); n != 3 {
		t.Errorf("%d calls after a minute", n)
	}
	// Who connects anew may be allowed less.
	sys.connect("user_1", "demo.user", threads.ScopeBasic)
	if _, err := s.GetAccountInsights(t.Context(), asks.GetAccountInsights{UserID: "user_1"}); commands.Refusal(err) == nil || commands.Refusal(err).Code != events.MissingScope {
		t.Errorf("without the scope: %v", err)
	}
}

// A token that was replaced while it was tried does not mark the account to be reconnected: the new one is tried.
func TestFresherTokenIsTaken(t *testing.T) {
	t.Parallel()
	sys := setup(t)
	stale := sys.account
	if err := sys.sim.Revoke("demo.user", 0); err != nil {
		t.Fatal(err)
	}
	sys.connect("user_1", "demo.user", allScopes...)
	s := sys.service()
	used := 0
	_, err := ownercalls.Do(t.Context(), s.calls, stale, threads.ScopeManageInsights, func(ctx context.Context, a ownercalls.Access) ([]threads.Metric, error) {
		used++
		return s.api.AccountInsights(ctx, a.Token, threads.InsightsQuery{})
	})
	if err != nil || used != 2 {
		t.Errorf("%v after %d tries", err, used)
	}
}
