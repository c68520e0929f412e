package torture

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report is what a run did and found.
type Report struct {
	Seed   uint64  `json:"seed"`
	Took   float64 `json:"tookSeconds"`
	Rounds []Round `json:"rounds"`
	// Posts are the posts by kind and outcome.
	Posts map[string]map[string]int `json:"posts"`
	// Faults says in how many rounds each was; Happened what that came to, Answers how the simulator's calls ended.
	Faults   map[string]int `json:"troubles"`
	Happened map[string]int `json:"happened"`
	Answers  map[string]int `json:"answers"`
	Calm     Lateness       `json:"latenessCalmMs"`
	Stormy   Lateness       `json:"latenessStormyMs"`
	// Others is the lateness of quiet tenants' posts, by the fault beside them.
	Others     map[string]*Others `json:"latenessOthersMs"`
	Violations []Violation        `json:"violations"`

	calm, stormy []float64
	othersWithin time.Duration
}

// Others is the lateness of quiet tenants' posts beside a fault: of those that it is judged by, in rounds that it had to
// itself, and of all others.
type Others struct {
	Judged Lateness `json:"judged"`
	Shown  Lateness `json:"shown"`

	judged, shown []float64
}

// Round is one round of a run.
type Round struct {
	Number   int            `json:"number"`
	Faults   string         `json:"troubles"`
	Posts    int            `json:"posts"`
	Outcomes map[string]int `json:"outcomes"`
	Happened map[string]int `json:"happened"`
	// Hurried are rows that the run let hours pass for.
	Hurried int `json:"hurried"`
	// Held is what a round waited for last, when it had to wait long.
	Held        string   `json:"held,omitempty"`
	HeldHistory []string `json:"heldStory,omitempty"`
	Took        float64  `json:"tookSeconds"`
}

// Lateness is how late the first calls of posts arrived, in milliseconds.
type Lateness struct {
	Posts int     `json:"posts"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

func newReport(o Options) *Report {
	return &Report{
		Seed: o.seed, Posts: map[string]map[string]int{}, Faults: map[string]int{}, Happened: map[string]int{},
		Answers: map[string]int{}, Others: map[string]*Others{}, Violations: []Violation{}, othersWithin: o.othersWithin,
	}
}

// add takes a round in.
func (r *Report) add(round *round, v *verdict) {
	for _, q := range round.posts {
		if r.Posts[q.kind] == nil {
			r.Posts[q.kind] = map[string]int{}
		}
		r.Posts[q.kind][v.outcome(q)]++
	}
	one := Round{Number: round.plan.number, Faults: round.plan.String(), Posts: len(round.posts), Outcomes: v.tallyOutcomes(),
		Happened: round.tally(), Hurried: round.hurry, Held: round.held, HeldHistory: v.heldHistory, Took: v.took.Seconds()}
	r.Rounds = append(r.Rounds, one)
	for what, n := range one.Happened {
		r.Happened[what] += n
	}
	for _, t := range round.plan.faults {
		r.Faults[t.name]++
	}
	for _, c := range v.calls {
		if c.Status != 200 && strings.HasPrefix(c.User, fmt.Sprintf("t%d.r%d.", r.Seed, round.plan.number)) {
			what := fmt.Sprintf("%s: HTTP %d", c.Op, c.Status)
			switch {
			case c.Status == 0:
				what = c.Op + ": cut"
			case c.Code != 0:
				what = fmt.Sprintf("%s: %d/%d", c.Op, c.Code, c.Subcode)
			}
			r.Answers[what]++
		}
	}
	if len(round.plan.faults) == 0 {
		r.calm = append(r.calm, v.lateBy...)
	} else {
		r.stormy = append(r.stormy, v.lateBy...)
	}
	r.Calm, r.Stormy = lateness(r.calm), lateness(r.stormy)
	for _, t := range round.plan.faults {
		if t.others > 0 {
			r.addOthers(t.name, v)
		}
	}
	r.Violations = append(r.Violations, v.violations...)
}

func (r *Report) addOthers(name string, v *verdict) {
	o := r.Others[name]
	if o == nil {
		o = &Others{}
		r.Others[name] = o
	}
	o.judged, o.shown = append(o.judged, latenesses(v.judged)...), append(o.shown, latenesses(v.shown)...)
	o.Judged, o.Shown = lateness(o.judged), lateness(o.shown)
}

// outcome is what has become of a post, in a word.
func (v *verdict) outcome(q *handed) string {
	p := v.byID[q.id]
	if p == nil {
		return "refused"
	}
	if !p.DeletedAt.IsZero() {
		return "deleted"
	}
	return string(p.State)
}

func (v *verdict) tallyOutcomes() map[string]int {
	m := map[string]int{}
	for _, q := range v.posts {
		m[v.outcome(q)]++
	}
	return m
}

// line is a round in one line.
func (r *round) line(v *verdict) string {
	verdict := "well"
	if len(v.violations) > 0 {
		verdict = fmt.Sprintf("VIOLATED %d times", len(v.violations))
	}
	if r.held != "" {
		verdict += ", at last, when " + r.held + " no more"
	}
	if len(v.judged)+len(v.shown) > 0 {
		verdict = fmt.Sprintf("quiet tenants judged: %s, not judged: %s; %s", lateness(latenesses(v.judged)), lateness(latenesses(v.shown)), verdict)
	}
	late := lateness(slices.Clone(v.lateBy))
	return fmt.Sprintf("round %-3d %-34s %d publishers, %d posts: %s; %s; late p50 %s, max %s; %.0f s; %s (--seed %d --from %d --rounds 1)",
		r.plan.number, r.plan, r.plan.publishers, len(r.posts), counted(v.tallyOutcomes()), counted(r.tally()),
		ms(late.P50), ms(late.Max), v.took.Seconds(), verdict, r.plan.seed, r.plan.number)
}

// counted writes counts for readers.
func counted(m map[string]int) string {
	if len(m) == 0 {
		return "nothing else"
	}
	var words []string
	for _, what := range slices.Sorted(maps.Keys(m)) {
		words = append(words, fmt.Sprintf("%d %s", m[what], what))
	}
	return strings.Join(words, ", ")
}

func lateness(values []float64) Lateness {
	if len(values) == 0 {
		return Lateness{}
	}
	slices.Sort(values)
	at := func(q float64) float64 { return values[min(int(q*float64(len(values))), len(values)-1)] }
	return Lateness{Posts: len(values), P50: at(0.5), P99: at(0.99), Max: values[len(values)-1]}
}

func (l Lateness) String() string {
	if l.Posts == 0 {
		return "no posts"
	}
	return fmt.Sprintf("p50 %s, p99 %s, max %s (%d posts)", ms(l.P50), ms(l.P99), ms(l.Max), l.Posts)
}

func ms(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.1f s", v/1000)
	}
	return fmt.Sprintf("%.0f ms", v)
}

// outcomesInOrder are the columns of the table.
var outcomesInOrder = []string{"published", "deleted", "failed", "cancelled", "parked", "refused"}

// print writes the table and the verdict.
func (r *Report) print(w io.Writer) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	say("")
	say("seed %d, %d rounds in %.0f s", r.Seed, len(r.Rounds), r.Took)
	say("")
	say("%-10s %10s %10s %10s %10s %10s %10s", "posts", "published", "deleted", "failed", "cancelled", "parked", "refused")
	sum := map[string]int{}
	row := func(kind string, m map[string]int) {
		line := fmt.Sprintf("%-10s", kind)
		for _, o := range outcomesInOrder {
			line += fmt.Sprintf(" %10d", m[o])
		}
		for o, n := range m {
			if !slices.Contains(outcomesInOrder, o) {
				line += fmt.Sprintf("  %d %s", n, o)
			}
		}
		say("%s", line)
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Posts)) {
		row(kind, r.Posts[kind])
		for o, n := range r.Posts[kind] {
			sum[o] += n
		}
	}
	row("all", sum)
	say("")
	say("what happened: %s", counted(r.Happened))
	say("Threads' answers but 200: %s", counted(r.Answers))
	say("rounds with each fault: %s", counted(r.Faults))
	for _, l := range []struct {
		name string
		Lateness
	}{{"without fault", r.Calm}, {"with fault", r.Stormy}} {
		if l.Posts > 0 {
			say("lateness %s: %s", l.name, l.Lateness)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Others)) {
		o := r.Others[name]
		say("lateness of quiet tenants beside %s, p99 at most %s: %s; not judged: %s", name, r.othersWithin, o.Judged, o.Shown)
	}
	say("")
	for _, v := range r.Violations {
		say("VIOLATED in round %d (%s): %s %s", v.Round, v.Faults, v.Post, v.What)
		for _, line := range v.History {
			say("    %s", line)
		}
		say("    again: torture --seed %d --from %d --rounds 1", r.Seed, v.Round)
	}
	if len(r.Violations) == 0 {
		say("verdict: every promise was kept: nothing lost, nothing twice, nothing early")
	} else {
		say("verdict: %d promises were broken", len(r.Violations))
	}
}
