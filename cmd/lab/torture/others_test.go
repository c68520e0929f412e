package torture

import (
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// Within ten rounds each fault that delays nobody else has one to itself, whatever the seed, and there are quiet tenants
// whenever it is there.
func TestPlansJudgeOthersLateness(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		alone := map[string]bool{}
		for n := 1; n <= 100; n++ {
			p := newPlan(Options{seed: seed, posts: 40}, n)
			if n <= 10 && len(p.faults) == 1 && p.faults[0].others > 0 {
				alone[p.faults[0].name] = true
			}
			wanted, quiet, numbers := false, 0, map[int]bool{}
			for _, tr := range p.faults {
				wanted = wanted || tr.others > 0
				if tr.own != nil && p.tenants[tr.name] == 0 {
					t.Errorf("round %d of seed %d: %s has no tenant", n, seed, tr.name)
				}
			}
			for _, q := range p.posts {
				if numbers[q.n] || q.account >= p.accounts || q.sent < 0 {
					t.Fatalf("round %d of seed %d has a post twice, or of nobody, or too early: %+v", n, seed, q)
				}
				numbers[q.n] = true
				if q.kind != kindQuiet {
					continue
				}
				quiet++
				if len(q.moves) > 0 || q.refers >= 0 || q.doubled || q.due-q.sent < quietAhead || q.due > p.until+quietEvery {
					t.Fatalf("round %d of seed %d: a quiet tenant does this: %+v", n, seed, q)
				}
			}
			if wanted != (quiet >= 100) {
				t.Errorf("round %d of seed %d (%s) has %d posts of quiet tenants", n, seed, p, quiet)
			}
		}
		for _, name := range []string{noisyTenant, frozenProjector, lockedAccount} {
			if !alone[name] {
				t.Errorf("seed %d: %s has none of ten rounds to itself", seed, name)
			}
		}
	}
	if p := newPlan(Options{seed: 1, posts: 30, publishers: 1, only: frozenProjector}, 1); p.publishers < 2 {
		t.Error("the only publisher is frozen")
	}
}

func TestOrdealCounts(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return time.Date(2027, 1, 2, 9, 0, s, 0, time.UTC) }
	for name, c := range map[string]struct {
		ordeal        ordeal
		due, accepted time.Time
		want          bool
	}{
		"while it lasted":              {ordeal{from: at(10), until: at(20)}, at(15), at(1), true},
		"at its beginning":             {ordeal{from: at(10), until: at(20)}, at(10), at(1), true},
		"at its end":                   {ordeal{from: at(10), until: at(20)}, at(20), at(1), true},
		"before":                       {ordeal{from: at(10), until: at(20)}, at(9), at(1), false},
		"after":                        {ordeal{from: at(10), until: at(20)}, at(21), at(1), false},
		"without an end":               {ordeal{from: at(10)}, at(59), at(1), true},
		"accepted while it lasted":     {ordeal{from: at(10), until: at(20)}, at(15), at(12), true},
		"accepted in time":             {ordeal{from: at(10), until: at(20), accepted: at(5)}, at(15), at(4), true},
		"accepted late":                {ordeal{from: at(10), until: at(20), accepted: at(5)}, at(15), at(5), false},
		"accepted in time, due before": {ordeal{from: at(10), until: at(20), accepted: at(5)}, at(6), at(4), false},
	} {
		if got := c.ordeal.counts(otherPost{due: c.due, accepted: c.accepted}); got != c.want {
			t.Errorf("%s: counts is %v", name, got)
		}
	}
}

// lateBy are posts that were due at the same second, and so late each.
func lateBy(ms ...int) (posts []otherPost) {
	due := time.Date(2027, 1, 2, 9, 0, 0, 0, time.UTC)
	for _, late := range ms {
		posts = append(posts, otherPost{due: due, arrived: due.Add(time.Duration(late) * time.Millisecond)})
	}
	return posts
}

func TestSplit(t *testing.T) {
	t.Parallel()
	posts := lateBy(1, 2, 3)
	all, none := &ordeal{}, &ordeal{from: posts[0].due.Add(time.Second)}
	for name, c := range map[string]struct {
		ordeal *ordeal
		alone  bool
		judged int
	}{
		"alone":            {all, true, 3},
		"with others":      {all, false, 0},
		"it did not come":  {nil, true, 0},
		"due before it":    {none, true, 0},
		"nothing and more": {nil, false, 0},
	} {
		if judged, shown := split(posts, c.ordeal, c.alone); len(judged) != c.judged || len(judged)+len(shown) != len(posts) {
			t.Errorf("%s: %d are judged and %d shown", name, len(judged), len(shown))
		}
	}
}

func TestTooLate(t *testing.T) {
	t.Parallel()
	many := make([]int, 200)
	for i := range many {
		many[i] = i // 0..199 ms
	}
	with := func(last ...int) []int { return append(append([]int{}, many[:len(many)-len(last)]...), last...) }
	for name, c := range map[string]struct {
		late []int
		p99  float64
		max  float64
		is   bool
	}{
		"none":               {nil, 0, 0, false},
		"one in time":        {[]int{1000}, 1000, 1000, false},
		"one late":           {[]int{1001}, 1001, 1001, true},
		"two hundred":        {many, 198, 199, false},
		"one of two hundred": {with(60_000), 198, 60_000, false},
		"two of them":        {with(1001, 60_000), 1001, 60_000, true},
		"at the bound":       {with(1000, 60_000), 1000, 60_000, false},
		"early":              {[]int{-5}, -5, -5, false},
	} {
		late, worst, is := tooLate(lateBy(c.late...), time.Second)
		if is != c.is || late.P99 != c.p99 || late.Max != c.max || late.Posts != len(c.late) {
			t.Errorf("%s: %v, %s", name, is, late)
		}
		if (worst == nil) != (len(c.late) == 0) || worst != nil && worst.lateness() != c.max {
			t.Errorf("%s: the worst is %+v", name, worst)
		}
	}
	if _, _, is := tooLate(lateBy(300), 200*time.Millisecond); !is {
		t.Error("the bound is not the one that was asked for")
	}
}

// TestOthersVerdict shows which rounds are violated, from what Threads and the table say.
func TestOthersVerdict(t *testing.T) {
	t.Parallel()
	began := time.Now().Add(-time.Hour)
	due := began.Add(5 * time.Second)
	type world struct {
		round   *round
		row     *posts.Post
		commits []threadssim.Post
	}
	for name, c := range map[string]struct {
		change func(*world)
		want   string
		judged int
	}{
		"in time": {func(*world) {}, "", 1},
		"late":    {func(w *world) { w.commits[0].ArrivedNS += int64(2 * time.Second) }, "of other tenants were late", 1},
		"late, with others": {func(w *world) {
			w.commits[0].ArrivedNS += int64(2 * time.Second)
			w.round.plan.faults = append(w.round.plan.faults, find("kill"))
		}, "", 0},
		"never":          {func(w *world) { w.commits = nil }, "of other tenants were late", 1},
		"never accepted": {func(w *world) { w.commits, w.row = nil, nil }, "of other tenants were late", 1},
		"twice, the first in time": {func(w *world) {
			again := w.commits[0]
			again.ArrivedNS += int64(time.Minute)
			w.commits = append(w.commits, again)
		}, "", 1},
		"edited in the table":       {func(w *world) { w.row.PublishAt = due.Add(-2 * time.Second) }, "of other tenants were late", 1},
		"nothing came of the fault": {func(w *world) { w.round.ordeal = nil }, "the round shows nothing", 0},
		"no quiet tenants":          {func(w *world) { w.round.posts[0].kind = kindText }, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &handed{planned: &planned{kind: kindQuiet, refers: -1, due: 5 * time.Second, draft: events.Draft{Text: "hello"}},
				id: "post_1", account: &account{name: "ann"}}
			w := &world{
				round: &round{plan: &plan{faults: []*fault{find(lockedAccount)}}, began: began, posts: []*handed{q},
					ordeal: &ordeal{from: began, until: began.Add(time.Minute)}},
				row:     &posts.Post{ID: "post_1", PublishAt: due, CreatedAt: began},
				commits: []threadssim.Post{{ID: "1", Username: "ann", Text: "hello", ArrivedNS: due.Add(time.Millisecond).UnixNano()}},
			}
			c.change(w)
			v := &verdict{round: w.round, byID: map[string]*posts.Post{}, commits: w.commits}
			if w.row != nil {
				v.byID[w.row.ID] = w.row
			}
			v.others(t.Context(), time.Second)
			var all []string
			for _, one := range v.violations {
				all = append(all, one.What)
			}
			if said := strings.Join(all, "; "); (c.want == "") != (said == "") || !strings.Contains(said, c.want) {
				t.Errorf("it says %q, want %q", said, c.want)
			}
			if len(v.judged) != c.judged {
				t.Errorf("%d posts are judged", len(v.judged))
			}
			r := newReport(Options{othersWithin: time.Second})
			r.addOthers(lockedAccount, v)
			if o := r.Others[lockedAccount]; o.Judged.Posts != c.judged || o.Judged.Posts+o.Shown.Posts != len(v.judged)+len(v.shown) {
				t.Errorf("the report has %+v", o)
			}
		})
	}
}
