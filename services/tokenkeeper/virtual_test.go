package tokenkeeper

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/internal/vault/vaulttest"
)

const (
	virtualDays = 200
	// sampleAccounts live in the usual suite; TOKENKEEPER_VIRTUAL_ACCOUNTS=500 has them all.
	sampleAccounts = 40
	// virtualStep is the least that the clock moves: who is due within it is woken together, a little late.
	virtualStep = time.Hour
)

// fate is what becomes of an account's owner in the run.
type fate string

const (
	public    fate = "public"     // lives on by refreshes alone
	revoked   fate = "revoked"    // its owner removes the app, or changes the password, some day
	unheeding fate = "unheeding"  // private, and its owner does not hear the warnings
	heeding   fate = "heeding"    // private, and its owner reconnects after the third warning
	returning fate = "reconnects" // revoked, and connected again when that was emitted
	forsaken  fate = "forsaken"   // Threads never answers its refreshes, until the token has ended
)

// virtual is two keepers side by side over half a year, before a Threads that has bad moments.
type virtual struct {
	*env
	rng     *rand.Rand
	url     string // of the database
	keepers [2]*keeper
	cuts    atomic.Int64 // calls whose connection was cut by the wire
	kills   atomic.Int64
	doomed  atomic.Pointer[keeper]
	unheard sync.Map        // the tokens of the forsaken
	fates   map[string]fate // by account
	names   map[string]string
	expects map[string]events.ConnectionStatus
}

// keeper is a process: killed, its connections are gone at once, and whatever it had in hand with them.
type keeper struct {
	svc *Service
	db  *bun.DB
}

// TestVirtualRun lets 200 days pass over many accounts. Postgres, NATS and HTTP are real; the clock is the run's, and the
// daily sweeps and alarms are rung by it.
func TestVirtualRun(t *testing.T) {
	n := sampleAccounts
	if asked := os.Getenv("TOKENKEEPER_VIRTUAL_ACCOUNTS"); asked != "" {
		var err error
		if n, err = strconv.Atoi(asked); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	v := newVirtual(t, 20261123)
	v.populate(n)
	script := v.script()
	end := v.clock.now().Add(virtualDays * day)
	sweepAt := v.clock.now()
	steps := 0
	for now := v.clock.now(); now.Before(end); now = v.clock.now() {
		steps++
		for len(script) > 0 && !script[0].at.After(now) {
			script[0].do()
			script = script[1:]
		}
		if !sweepAt.After(now) {
			v.sweepSomewhere()
			sweepAt = sweepAt.Add(day)
		}
		v.ringAlarms()
		next := sweepAt
		if len(script) > 0 && script[0].at.Before(next) {
			next = script[0].at
		}
		if due := v.nextDue(); !due.IsZero() && due.Before(next) {
			next = due
		}
		v.clock.pass(max(next.Sub(now), virtualStep))
	}
	v.judge(steps, time.Since(began))
}

func newVirtual(t *testing.T, seed uint64) *virtual {
	t.Helper()
	t.Parallel()
	v := &virtual{
		env: &env{T: t, bus: bustest.New(t), clock: &clock{at: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}},
		rng: rand.New(rand.NewPCG(seed, 1)),
		url: pgtest.URL(t), fates: map[string]fate{}, names: map[string]string{}, expects: map[string]events.ConnectionStatus{},
	}
	knobs := threadssim.Quick()
	often := threadssim.Ops{threads.OpRefresh, threads.OpDebugToken, threads.OpMe}
	knobs.Edge5xx = threadssim.EdgeKnob{Probability: .06, HTTP: http.StatusBadGateway, Body: "html", Ops: often}
	knobs.Throttle = threadssim.Throttle{Probability: .04, Code: 4, RetryAfter: threadssim.Duration(20 * time.Minute), Ops: often}
	knobs.DropResponse = threadssim.DropKnob{Probability: .04, When: "after", Ops: often}
	knobs.HiddenSuccess = threadssim.HiddenSuccess{Probability: .03, Error: "10/500", Ops: often}
	var err error
	if v.sim, err = threadssim.New(threadssim.Options{Now: v.clock.now, Knobs: &knobs, Seed: seed}); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(v.serve))
	t.Cleanup(web.Close)
	v.vault = vaulttest.New(t)
	v.db = v.open(4)
	cfg, err := ConfigFromEnv(func(name string) string { return map[string]string{"THREADS_API_URL": web.URL}[name] })
	if err != nil {
		t.Fatal(err)
	}
	for i := range v.keepers {
		v.keepers[i] = v.start(cfg)
	}
	v.svc = v.keepers[0].svc
	return v
}

func (v *virtual) open(conns int) *bun.DB {
	v.Helper()
	db, err := pg.Open(v.Context(), pg.Config{URL: v.url, Application: "virtual", MaxConns: conns}, zap.NewNop())
	if err != nil {
		v.Fatal(err)
	}
	v.Cleanup(func() { _ = db.Close() })
	return db
}

func (v *virtual) start(cfg Config) *keeper {
	v.Helper()
	k := &keeper{db: v.open(8)}
	k.svc = New(cfg, Deps{
		Bus: v.bus, DB: k.db, Threads: threads.New(cfg.Threads()), Vault: v.vault, Log: zap.NewNop(), Now: v.clock.now,
	})
	return k
}

// serve is the way to Threads: it loses requests, and now and then a process dies while its call is under way.
func (v *virtual) serve(w http.ResponseWriter, r *http.Request) {
	if n := v.cuts.Add(1); n%37 == 0 { // before Threads has heard of it
		panic(http.ErrAbortHandler)
	}
	if _, forsaken := v.unheard.Load(r.URL.Query().Get("access_token")); forsaken {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	if k := v.doomed.Load(); k != nil && r.URL.Path == "/refresh_access_token" && v.doomed.CompareAndSwap(k, nil) {
		if v.kills.Add(1)%2 == 0 {
			v.sim.ServeHTTP(httptest.NewRecorder(), r) // Threads gives a new token, which nobody will save
		}
		_ = k.db.Close()
	}
	v.sim.ServeHTTP(w, r)
}

func (v *virtual) populate(n int) {
	for i := range n {
		name := fmt.Sprintf("person%d", i)
		f := public
		switch i % 20 {
		case 3, 11:
			f = revoked
		case 7:
			f = returning
		case 5:
			f = unheeding
		case 15:
			f = heeding
		case 18:
			f = forsaken
		}
		if f == heeding || f == unheeding {
			if err := v.sim.SetUserKnobs(name, func(k *threadssim.Knobs) { k.ProfilePrivate = true }); err != nil {
				v.Fatal(err)
			}
		}
		a := v.connect("user_"+name, name)
		if f == forsaken {
			token, err := v.vault.Open(a.ID, a.Sealed)
			v.do(err)
			v.unheard.Store(token.Reveal(), true)
		}
		v.fates[a.ID], v.names[a.ID], v.expects[a.ID] = f, name, events.ConnectionActive
		if f == revoked || f == unheeding || f == forsaken {
			v.expects[a.ID] = events.ConnectionReconnectRequired
		}
	}
}

// act is something that happens in the world on a day.
type act struct {
	at time.Time
	do func()
}

// script is what happens to people, to Threads and to the keepers, in order.
func (v *virtual) script() []act {
	start := v.clock.now()
	var acts []act
	on := func(days float64, do func()) {
		acts = append(acts, act{start.Add(time.Duration(days * float64(day))), do})
	}
	ids := make([]string, 0, len(v.fates))
	for id := range v.fates {
		ids = append(ids, id)
	}
	slices.Sort(ids) // maps have no order, and the seed is to mean something
	for _, id := range ids {
		name := v.names[id]
		switch v.fates[id] {
		case revoked, returning:
			subcode := []int{458, 460, 463, 467, 492}[v.rng.IntN(5)]
			at := 2 + v.rng.Float64()*140
			on(at, func() { v.do(v.sim.Revoke(name, subcode)) })
			if v.fates[id] == returning {
				on(at+40, func() { v.again(name) }) // by then a refresh has found out
			}
		case heeding:
			on(83, func() { v.again(name) })
			on(166, func() { v.again(name) })
		case public, unheeding, forsaken:
		}
	}
	down := func(from, days float64) {
		on(from, func() { v.do(v.sim.SetKnobs(func(k *threadssim.Knobs) { k.Edge5xx.Probability = 1 })) })
		on(from+days, func() { v.do(v.sim.SetKnobs(func(k *threadssim.Knobs) { k.Edge5xx.Probability = .06 })) })
	}
	down(29, 2.5) // in the thick of the first refreshes
	down(61, 7)
	down(120, .2)
	for range 24 {
		on(25+v.rng.Float64()*170, func() { v.doomed.Store(v.keepers[v.rng.IntN(2)]) })
	}
	slices.SortStableFunc(acts, func(a, b act) int { return a.at.Compare(b.at) })
	return acts
}

func (v *virtual) do(err error) {
	v.Helper()
	if err != nil {
		v.Fatal(err)
	}
}

// again is an owner who presses Allow once more.
func (v *virtual) again(name string) {
	v.connect("user_"+name, name)
}

// sweepSomewhere is the daily sweep, which one of the keepers gets; now and then both do.
func (v *virtual) sweepSomewhere() {
	v.restartDead()
	first := v.rng.IntN(2)
	var wg sync.WaitGroup
	for i := range 1 + v.rng.IntN(8)/7 {
		wg.Go(func() { _ = v.keepers[(first+i)%2].svc.Sweep(v.Context(), bus.Delivery{}, "") }) // killed ones fail, and that is well
	}
	wg.Wait()
}

// ringAlarms wakes every account whose time has come, some of them at both keepers at once, until none is left.
func (v *virtual) ringAlarms() {
	for round := 0; ; round++ {
		v.restartDead()
		ids := v.dueNow()
		if len(ids) == 0 {
			return
		}
		if round > 20 {
			v.Fatalf("%s: %d accounts stay due: %v", v.clock.now(), len(ids), ids)
		}
		var wg sync.WaitGroup
		for i, id := range ids {
			if i%8 == 7 {
				wg.Wait()
			}
			first, both := v.rng.IntN(2), v.rng.IntN(4) == 0
			wg.Go(func() { _ = v.keepers[first].svc.Due(v.Context(), bus.Delivery{}, id) }) // an error is a message that comes again
			if both {
				wg.Go(func() { _ = v.keepers[1-first].svc.Due(v.Context(), bus.Delivery{}, id) })
			}
		}
		wg.Wait()
	}
}

// restartDead starts a keeper in the place of one that was killed. Postgres' clock does not follow the run's: the leases
// of the dead lapse here.
func (v *virtual) restartDead() {
	v.Helper()
	for i, k := range v.keepers {
		if k.db.PingContext(v.Context()) != nil {
			v.keepers[i] = v.start(k.svc.cfg)
		}
	}
	if _, err := v.db.NewRaw(`UPDATE social_connections SET refresh_lease_until = now() - interval '1 second'
		WHERE refresh_lease IS NOT NULL`).Exec(v.Context()); err != nil {
		v.Fatal(err)
	}
}

func (v *virtual) dueNow() (ids []string) {
	v.Helper()
	err := v.db.NewRaw("SELECT id FROM social_connections WHERE status = 'active' AND refresh_at <= ? ORDER BY id", v.clock.now()).
		Scan(v.Context(), &ids)
	v.do(err)
	return ids
}

func (v *virtual) nextDue() time.Time {
	v.Helper()
	var at bun.NullTime
	v.do(v.db.NewRaw("SELECT min(refresh_at) FROM social_connections WHERE status = 'active'").Scan(v.Context(), &at))
	return at.Time
}

// judge looks at what is left, and at what was emitted and called on the way.
func (v *virtual) judge(steps int, took time.Duration) {
	v.Helper()
	v.do(v.sim.SetKnobs(func(k *threadssim.Knobs) { *k = threadssim.Quick() }))
	for _, m := range v.sim.Mistakes(0) {
		// A keeper that was killed after Threads' refusal and before its noting asks once more.
		if m.Rule != "retry_of_a_permanent_refusal" {
			v.Errorf("%s: %s %s", m.Rule, m.User, m.Detail)
		}
	}
	refreshes, warnings, ended := v.history()
	perFate := map[fate]int{}
	total, least, most := 0, 1<<30, 0
	for id, f := range v.fates {
		perFate[f]++
		a := v.account(id)
		if a.Status != v.expects[id] {
			v.Errorf("%s account %s (%s) is %s, want %s; %v", f, id, v.names[id], a.Status, v.expects[id], a.Reason)
			continue
		}
		if a.Status == events.ConnectionActive && !v.works(id) {
			v.Errorf("%s account %s (%s) is active and its token does not work", f, id, v.names[id])
		}
		n := refreshes[id]
		total += n
		if f == public {
			least, most = min(least, n), max(most, n)
		}
		if want := map[fate]int{revoked: 1, returning: 1, unheeding: 1, forsaken: 1}[f]; ended[id] != want {
			v.Errorf("%s account %s: its end was told %d times, want %d", f, id, ended[id], want)
		}
		v.judgeWarnings(id, f, warnings[id])
	}
	if least < 5 || most > 8 {
		v.Errorf("healthy accounts were refreshed %d to %d times in %d days, want about six", least, most, virtualDays)
	}
	if v.kills.Load() < 10 || v.cuts.Load() < 100 {
		v.Errorf("only %d kills and %d calls: the run was too quiet to prove anything", v.kills.Load(), v.cuts.Load())
	}
	v.Logf("%d accounts (%v), %d virtual days in %s: %d steps, %d calls of which one in 37 was cut, %d kills, %d refreshes, %d to %d an account",
		len(v.fates), perFate, virtualDays, took.Round(10*time.Millisecond), steps, v.cuts.Load(), v.kills.Load(), total, least, most)
}

// judgeWarnings: those who are warned are the private ones, from day 80 on, once a day at most.
func (v *virtual) judgeWarnings(id string, f fate, at []time.Time) {
	v.Helper()
	for i, t := range at {
		if i > 0 && t.Sub(at[i-1]) < 23*time.Hour {
			v.Errorf("%s account %s was warned at %s and again at %s", f, id, at[i-1], t)
		}
	}
	switch {
	case f == unheeding && (len(at) < 7 || len(at) > 10):
		v.Errorf("account %s was warned %d times before its grant ended, want about ten", id, len(at))
	case f == heeding && (len(at) < 2 || len(at) > 8):
		v.Errorf("account %s, which reconnected twice on the fourth day of the warnings, was warned %d times", id, len(at))
	case f != unheeding && f != heeding && len(at) > 0:
		v.Errorf("%s account %s was warned %d times", f, id, len(at))
	}
}

// history is what EVENTS says of each account.
func (v *virtual) history() (refreshes map[string]int, warnings map[string][]time.Time, ended map[string]int) {
	v.Helper()
	refreshes, warnings, ended = map[string]int{}, map[string][]time.Time{}, map[string]int{}
	stream, err := v.bus.JetStream().Stream(v.Context(), events.StreamEvents)
	v.do(err)
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(v.Context(), seq)
		v.do(err)
		msg, err := events.Decode(strings.Join(m.Header[events.HeaderType], ""), m.Data)
		v.do(err)
		switch ev := msg.(type) {
		case events.TokenRefreshed:
			refreshes[ev.Connection.ID]++
		case events.AccountReconnectSoon:
			warnings[ev.Connection.ID] = append(warnings[ev.Connection.ID], ev.Connection.UpdatedAt)
			if by := ev.Connection.ReconnectBy; by == nil || by.Sub(ev.Connection.UpdatedAt) > accounts.WarnBefore {
				v.Errorf("warned of %v at %s", by, ev.Connection.UpdatedAt)
			}
		case events.AccountReconnectRequired:
			ended[ev.Connection.ID]++
		}
	}
	return refreshes, warnings, ended
}
