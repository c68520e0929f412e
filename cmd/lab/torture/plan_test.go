package torture

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func TestPlanIsTheSeeds(t *testing.T) {
	t.Parallel()
	o := Options{seed: 42, posts: 40}
	one, again := newPlan(o, 3), newPlan(o, 3)
	if !reflect.DeepEqual(one.posts, again.posts) || one.String() != again.String() {
		t.Error("the same seed and number made two plans")
	}
	if reflect.DeepEqual(one.posts, newPlan(o, 4).posts) {
		t.Error("two rounds are the same")
	}
	o.seed = 43
	if reflect.DeepEqual(one.posts, newPlan(o, 3).posts) {
		t.Error("two seeds made the same plan")
	}
	for _, tr := range faults {
		if tr.rngSample(one) != tr.rngSample(again) {
			t.Errorf("%s draws something else the second time", tr.name)
		}
	}
}

func (t *fault) rngSample(p *plan) uint64 { return p.rngOf(t).Uint64() }

// Each fault has its turn in a long run, alone or first of a pair; no pair wants one knob twice; each tenth round is calm.
func TestPlansLeaveNothingOut(t *testing.T) {
	t.Parallel()
	seen, kindsSeen, verbs := map[string]bool{}, map[string]bool{}, map[string]bool{}
	led := map[string]bool{}
	for n := 1; len(led) < len(faults) && n < 1000; n++ {
		p := newPlan(Options{seed: 9, posts: 40}, n)
		if calm := len(p.faults) == 0; calm != (n%calmEvery == 0) {
			t.Errorf("round %d has %s", n, p)
		}
		if len(p.faults) > 0 && aloneIn(n) == nil {
			if first := p.faults[0].name; led[first] {
				t.Errorf("%s leads round %d, and others have not yet", first, n)
			} else {
				led[first] = true
			}
		}
		if len(p.faults) == 2 && p.faults[0].knob != "" && p.faults[0].knob == p.faults[1].knob {
			t.Errorf("round %d has %s, which want the same knob", n, p)
		}
		for _, tr := range p.faults {
			seen[tr.name] = true
		}
		for _, q := range p.posts {
			kindsSeen[q.kind] = true
			for _, m := range q.moves {
				verbs[m.verb] = true
			}
		}
	}
	for _, tr := range faults {
		if !seen[tr.name] {
			t.Errorf("%s has no turn", tr.name)
		}
	}
	for _, kind := range kinds {
		if !kindsSeen[kind] {
			t.Errorf("there is no %s", kind)
		}
	}
	for _, verb := range []string{verbEdit, verbCancel, verbDelete} {
		if !verbs[verb] {
			t.Errorf("nobody asks to %s", verb)
		}
	}
}

// Every knob is one that the simulator knows, and none holds a publish call back for so long that a second one were unsafe.
func TestKnobs(t *testing.T) {
	t.Parallel()
	safe := time.Duration(0)
	for _, name := range []string{"PUBLISHER_CALL_TIMEOUT", "PUBLISHER_SECOND_CALL_AFTER"} {
		d, err := time.ParseDuration(waits[name])
		if err != nil {
			t.Fatal(err)
		}
		safe += d
	}
	lag, err := time.ParseDuration(waits["PUBLISHER_SECOND_CALL_AFTER"])
	if err != nil {
		t.Fatal(err)
	}
	for _, tr := range faults {
		if tr.patch == nil {
			continue
		}
		for n := range 5 {
			p := newPlan(Options{seed: uint64(n), posts: 10}, 1)
			k := threadssim.Quick()
			if err := k.Read([]byte(tr.patch(p.rngOf(&tr), time.Now()))); err != nil {
				t.Errorf("%s: %v", tr.name, err)
			}
			if k.PublishLatency.Max+k.APILatency.Max > safe {
				t.Errorf("%s holds a publish back for up to %s", tr.name, k.PublishLatency.Max)
			}
			if k.ListLag.Max >= lag {
				t.Errorf("%s lets lists lag %s, and a look is worth nothing", tr.name, k.ListLag.Max)
			}
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for args, words := range map[string]string{
		"--only earthquake": `no fault "earthquake"`, "--posts 1": "from 10 to 400", "--minutes 0": "more than 0",
	} {
		var o Options
		f := pflag.NewFlagSet("torture", pflag.ContinueOnError)
		o.AddFlags(f)
		if err := f.Parse(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		if err := o.Complete(f); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// TestVerdict shows that each broken promise is seen: the same post emitted once, and wrong in each way.
func TestVerdict(t *testing.T) {
	t.Parallel()
	due := time.Date(2027, 1, 2, 9, 0, 0, 0, time.UTC)
	type world struct {
		row     *posts.Post
		commits []threadssim.Post
		told    []string
		plan    *plan
	}
	for name, c := range map[string]struct {
		change func(*world)
		want   string
	}{
		"all is well": {func(*world) {}, ""},
		"twice": {func(w *world) {
			second := w.commits[0]
			second.ID = "2"
			w.commits = append(w.commits, second)
		}, "has 2 posts"},
		"lost":         {func(w *world) { w.commits = nil }, "no such post"},
		"another id":   {func(w *world) { w.row.MediaID = "7" }, "no such post"},
		"early":        {func(w *world) { w.commits[0].ArrivedNS = due.Add(-time.Millisecond).UnixNano() }, "1ms early"},
		"not told":     {func(w *world) { w.told = nil }, "told as published 0 times"},
		"told twice":   {func(w *world) { w.told = append(w.told, "published") }, "told as published 2 times"},
		"gone":         {func(w *world) { w.commits[0].Deleted = true }, "deleted: false, Threads says true"},
		"failed, live": {func(w *world) { w.row.State, w.row.MediaID = events.StateFailed, "" }, "has 1 posts"},
		"cancelled":    {func(w *world) { w.row.State, w.row.MediaID, w.commits, w.told = events.StateCancelled, "", nil, nil }, "nobody asked"},
		"no lateness":  {func(w *world) { w.row.CalledAt = time.Time{} }, "lateness is not recorded"},
		"parked, mute": {func(w *world) { w.row.State, w.row.MediaID, w.told = events.StateParked, "", nil }, "without a reason"},
		"failed for naught": {func(w *world) {
			w.row.State, w.row.MediaID, w.row.Reason = events.StateFailed, "", events.Faultf(events.Refused, "No.")
			w.commits, w.told = nil, nil
		}, "nothing that happened excuses"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{
				row:     &posts.Post{ID: "post_1", Text: "hello", State: events.StatePublished, MediaID: "1", PublishAt: due, CalledAt: due},
				commits: []threadssim.Post{{ID: "1", Username: "ann", Text: "hello", ArrivedNS: due.Add(time.Millisecond).UnixNano()}},
				told:    []string{"scheduled", "published"},
				plan:    &plan{faults: []*fault{find("kill")}},
			}
			c.change(w)
			q := &handed{planned: &planned{kind: kindText, refers: -1, draft: events.Draft{Text: "hello"}}, id: "post_1", account: &account{name: "ann"}}
			v := &verdict{
				round:   &round{plan: w.plan, posts: []*handed{q}, byN: map[int]*handed{0: q}, accounts: []*account{q.account}},
				byID:    map[string]*posts.Post{q.id: w.row},
				commits: w.commits,
				emitted: map[string][]string{q.id: w.told},
			}
			v.same(t.Context())
			v.post(t.Context(), q)
			var all []string
			for _, one := range v.violations {
				all = append(all, one.What)
			}
			if said := strings.Join(all, "; "); (c.want == "") != (said == "") || !strings.Contains(said, c.want) {
				t.Errorf("it says %q, want %q", said, c.want)
			}
		})
	}
}
