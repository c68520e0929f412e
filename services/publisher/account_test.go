package publisher

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// callsOf counts the calls of a kind that reached Threads.
func (r *rig) callsOf(op string) (n int) {
	for _, c := range r.sim.Calls() {
		if c.Op == op {
			n++
		}
	}
	return n
}

// idle is a publisher that does nothing by itself.
func (r *rig) idle() *Service {
	return New(r.cfg, Deps{Bus: r.bus, DB: r.db, Threads: r.api, Vault: r.vault, Log: r.log})
}

func TestModerate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.account = r.connect(testUser, "demo.user", allScopes...)
	r.person("friend")
	root := r.say("demo.user", "well?", time.Hour)
	said := r.say("friend", "well!", 30*time.Minute, "reply_to_id", root)
	s := r.idle()
	deliver := func(id string, accepted time.Time, deliveries uint64) (any, error) {
		d := bus.Delivery{Meta: events.Meta{ID: id, Time: accepted}, Deliveries: deliveries}
		return s.HideReply(t.Context(), d, events.HideReply{UserID: testUser, ID: said, Hide: true})
	}

	t.Run("a command delivered twice calls once and says the same", func(t *testing.T) {
		id := events.NewCommandID()
		for range 2 {
			result, err := deliver(id, time.Now(), 1)
			if err != nil {
				t.Fatal(err)
			}
			var state events.ReplyState
			if err := json.Unmarshal(result.(json.RawMessage), &state); err != nil || state.Hidden == nil || !*state.Hidden {
				t.Errorf("%+v, %v", state, err)
			}
		}
		if n := r.callsOf(threads.OpHideReply); n != 1 {
			t.Errorf("%d calls", n)
		}
	})

	t.Run("is tried again while Threads is away, for an hour", func(t *testing.T) {
		if err := r.sim.Inject(threadssim.Fault{Op: threads.OpHideReply, Kind: threadssim.Edge5xx, Times: 2}); err != nil {
			t.Fatal(err)
		}
		id := events.NewCommandID()
		if _, err := deliver(id, time.Now(), 1); err == nil || commands.Refusal(err) != nil {
			t.Errorf("not tried again: %v", err)
		}
		if _, err := deliver(id, time.Now().Add(-2*time.Hour), 9); commands.Refusal(err) == nil || commands.Refusal(err).Code != events.Missed {
			t.Errorf("not given up: %v", err)
		}
		// It has ended; Threads being back changes nothing.
		before := r.callsOf(threads.OpHideReply)
		if _, err := deliver(id, time.Now(), 10); commands.Refusal(err) == nil || commands.Refusal(err).Code != events.Missed {
			t.Errorf("told otherwise: %v", err)
		}
		if n := r.callsOf(threads.OpHideReply); n != before {
			t.Error("it called once more")
		}
	})
}

func TestReadsKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.account = r.connect(testUser, "demo.user", allScopes...)
	r.cfg.ReadsKept = time.Minute
	s := r.idle()
	now := time.Now()
	s.now = func() time.Time { return now }
	read := func(q events.GetAccountInsights) events.Insights {
		t.Helper()
		q.UserID = testUser
		i, err := s.GetAccountInsights(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	first, again := read(events.GetAccountInsights{}), read(events.GetAccountInsights{})
	if n := r.callsOf(threads.OpAccountInsights); n != 1 || !first.ReadAt.Equal(again.ReadAt) || len(again.Metrics) == 0 {
		t.Errorf("%d calls for the same figures", n)
	}
	read(events.GetAccountInsights{Metrics: []string{"likes"}})
	if n := r.callsOf(threads.OpAccountInsights); n != 2 {
		t.Errorf("%d calls for two questions", n)
	}
	now = now.Add(time.Minute)
	read(events.GetAccountInsights{})
	if n := r.callsOf(threads.OpAccountInsights); n != 3 {
		t.Errorf("%d calls after a minute", n)
	}
	// Who connects anew may be allowed less.
	r.connect(testUser, "demo.user", threads.ScopeBasic)
	if _, err := s.GetAccountInsights(t.Context(), events.GetAccountInsights{UserID: testUser}); commands.Refusal(err) == nil || commands.Refusal(err).Code != events.MissingScope {
		t.Errorf("without the scope: %v", err)
	}
}

// A token that was replaced under our hands is no reason to trouble its owner.
func TestFresherTokenIsTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stale := r.connect(testUser, "demo.user", allScopes...)
	if err := r.sim.Revoke("demo.user", 0); err != nil {
		t.Fatal(err)
	}
	r.connect(testUser, "demo.user", allScopes...)
	s := r.idle()
	used := 0
	_, err := ownercalls.Do(t.Context(), s.ownerCalls, stale, threads.ScopeManageInsights, func(ctx context.Context, a ownercalls.Access) ([]threads.Metric, error) {
		used++
		return s.api.AccountInsights(ctx, a.Token, threads.InsightsQuery{})
	})
	if err != nil || used != 2 {
		t.Errorf("%v after %d tries", err, used)
	}
}

func TestRounds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.account = r.connect(testUser, "demo.user", allScopes...)
	few := r.connect(testUser, "few.scopes", threads.ScopeBasic)
	r.cfg.InsightsEvery, r.cfg.InsightsSpacing = 24*time.Hour, time.Millisecond
	s := r.idle()
	now := time.Now()
	s.now = func() time.Time { return now }
	nextAt := func() (at time.Time) {
		t.Helper()
		if err := r.db.NewSelect().Table("insight_rounds").Column("next_at").Where("account_id = ?", r.account.ID).Scan(t.Context(), &at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	once := func(s *Service) {
		t.Helper()
		if err := s.roundsOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	once(s)
	if at := nextAt(); at.Before(now.Truncate(time.Millisecond)) || at.After(now.Add(firstRound)) || r.callsOf(threads.OpAccountInsights) != 0 {
		t.Errorf("the first round is in %s", at.Sub(now))
	}

	// Threads is away: another try in an hour.
	if err := r.sim.Inject(threadssim.Fault{Op: threads.OpAccountInsights, Kind: threadssim.Edge5xx}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(firstRound)
	once(s)
	if wait := nextAt().Sub(now); wait < roundAgain-time.Second || wait > roundAgain {
		t.Errorf("the next try is in %s", wait)
	}

	// Two publishers at once: one round.
	now = now.Add(roundAgain)
	before := r.callsOf(threads.OpAccountInsights)
	other := r.idle()
	other.now = s.now
	var wg sync.WaitGroup
	for _, one := range []*Service{s, other} {
		wg.Go(func() {
			if err := one.roundsOnce(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := r.callsOf(threads.OpAccountInsights) - before; n != 1 {
		t.Errorf("%d calls in one round", n)
	}
	if wait := nextAt().Sub(now); wait < 24*time.Hour-time.Second {
		t.Errorf("the next round is in %s", wait)
	}
	var kept []string
	if err := r.db.NewSelect().Table("insight_snapshots").ColumnExpr("DISTINCT account_id").Scan(t.Context(), &kept); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(kept, []string{r.account.ID}) || slices.Contains(kept, few.ID) {
		t.Errorf("kept of %v", kept)
	}

	// What was kept for long enough goes.
	now = now.Add(r.cfg.InsightsKept + time.Hour)
	if err := forgetSnapshots(t.Context(), r.db, now.Add(-r.cfg.InsightsKept)); err != nil {
		t.Fatal(err)
	}
	if n, err := r.db.NewSelect().Table("insight_snapshots").Count(t.Context()); err != nil || n != 0 {
		t.Errorf("%d left, %v", n, err)
	}
}
