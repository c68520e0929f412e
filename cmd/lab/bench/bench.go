// Package bench measures the delivery path as production runs it: the publisher in a process of its own, nats-server that
// syncs every message, Postgres that syncs every commit, and a target in a third process. Every figure stands beside what
// the same machine does bare at the same time, and is held against the target, EVENTS and the table: a fast run that lost
// or doubled a post is a failed one.
//
// docs/benchmarks.md says how to run it, what the figures mean and how to measure another scheduler on the same work.
package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrFailed says that a figure was measured and something about it was wrong: a post lost, doubled, early, or not POSTED.
var ErrFailed = errors.New("the run is not valid; the report says why")

// options are what a run is asked for.
type options struct {
	posts, accounts, rate, seconds, scheduled, facts int

	ahead   time.Duration
	target  string
	json    string
	only    string
	seed    uint64
	quick   bool
	profile string
	dir     string
}

// The parts of a run, in their order.
const (
	partBaseline = "baseline"
	partLateness = "lateness"
	partBurst    = "burst"
	partAPI      = "api"
	partRestart  = "restart"
	partRebuild  = "rebuild"
)

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.posts, "posts", 10_000, "posts of the burst, all due at one second")
	f.IntVar(&o.accounts, "accounts", 1000, "accounts that the posts are spread over")
	f.IntVar(&o.rate, "rate", 100, "posts a second of the lateness figure")
	f.IntVar(&o.seconds, "seconds", 30, "how long the lateness figure goes on")
	f.IntVar(&o.scheduled, "scheduled", 1_000_000, "posts that wait for a far future while the publisher is restarted")
	f.IntVar(&o.facts, "facts", 1_000_000, "facts on EVENTS from which the table is built anew")
	f.DurationVar(&o.ahead, "ahead", 0,
		"how long before its time the first post of a run is handed in (default: 10 s and 12 ms a post)")
	f.StringVar(&o.target, "target", "",
		"`URL` of another server that speaks the two publishing calls (default: the simulator, in a process of its own)")
	f.StringVar(&o.json, "json", "",
		"`file` for the report as JSON; - writes it to standard output, and the table to standard error")
	f.StringVar(&o.only, "only", "", "one of baseline, lateness, burst, api, restart, rebuild (default: all)")
	f.Uint64Var(&o.seed, "seed", 1, "`number` that decides the lengths of the texts and the order of the accounts")
	f.BoolVar(&o.quick, "quick", false, "a small run of some 20 s, to see that all of it works; flags given beside it win")
	f.StringVar(&o.profile, "profile", "", "`directory` for CPU profiles of the burst, one of each process")
	f.StringVar(&o.dir, "dir", "",
		"`directory` for the state of the run; it should be on a real disk (default: the system's temporary directory)")
	return f
}

// small are the sizes of a quick run.
var small = map[string]string{
	"posts": "400", "accounts": "50", "rate": "50", "seconds": "2", "scheduled": "20000", "facts": "30000", "ahead": "4s",
}

func parse(args []string, errOut io.Writer) (o options, err error) {
	f := o.flags()
	f.SetOutput(errOut)
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.quick {
		given := map[string]bool{}
		f.Visit(func(g *flag.Flag) { given[g.Name] = true })
		for name, v := range small {
			if !given[name] {
				if err := f.Set(name, v); err != nil {
					return o, err
				}
			}
		}
	}
	return o, o.mistakes(f.Args())
}

// mistakes names everything that cannot be meant, at once.
func (o options) mistakes(rest []string) error {
	var wrong []error
	if len(rest) > 0 {
		wrong = append(wrong, fmt.Errorf("bench takes flags only, and the word target, not %q", rest[0]))
	}
	if o.posts < 1 || o.accounts < 1 || o.rate < 1 || o.seconds < 1 || o.scheduled < 1 || o.facts < 1 {
		wrong = append(wrong, errors.New("-posts, -accounts, -rate, -seconds, -scheduled and -facts must be at least 1"))
	}
	if o.accounts > 0 && o.rate*o.seconds/o.accounts+o.posts/o.accounts > 240 {
		wrong = append(wrong, errors.New("an account may post 250 times a day: more -accounts, or fewer posts"))
	}
	if o.only != "" && !slices.Contains([]string{partBaseline, partLateness, partBurst, partAPI, partRestart, partRebuild}, o.only) {
		wrong = append(wrong, fmt.Errorf("-only is baseline, lateness, burst, api, restart or rebuild, not %q", o.only))
	}
	if o.target != "" && !strings.HasPrefix(o.target, "http://") && !strings.HasPrefix(o.target, "https://") {
		wrong = append(wrong, errors.New("-target is an http or https URL"))
	}
	if o.ahead < 0 {
		wrong = append(wrong, errors.New("-ahead must not be negative"))
	}
	return errors.Join(wrong...)
}

// wants says whether a part was asked for.
func (o options) wants(part string) bool { return o.only == "" || o.only == part }

// lead is how long before its time the first of n posts is handed in: long enough to hand all in and to build their
// containers.
func (o options) lead(n int) time.Duration {
	if o.ahead > 0 {
		return o.ahead
	}
	return 10*time.Second + time.Duration(n)*12*time.Millisecond
}

// bareCalls is how many bare calls make a baseline.
func (o options) bareCalls() int { return min(max(o.posts, 200), 5000) }

// bareFor is how long the other baselines take each.
func (o options) bareFor() time.Duration {
	if o.quick {
		return 500 * time.Millisecond
	}
	return 3 * time.Second
}

// apiFor is how long each run of schedule calls takes.
func (o options) apiFor() time.Duration {
	if o.quick {
		return 500 * time.Millisecond
	}
	return 10 * time.Second
}

// sweepFor is how long a publisher is given for its first sweep before its memory is read.
func (o options) sweepFor() time.Duration {
	if o.quick {
		return 500 * time.Millisecond
	}
	return 3 * time.Second
}

// Main is the command: bench, bench target, and the words that bench starts itself with.
func Main(ctx context.Context, args []string, getenv func(string) string, out, errOut io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case wordTarget:
			return runTarget(ctx, args[1:], out)
		case wordPublisher, wordGateway:
			return runService(ctx, args[0], getenv, out)
		}
	}
	errOut = &shared{w: errOut}
	o, err := parse(args, errOut)
	if err != nil {
		return err
	}
	r, err := measure(ctx, o, errOut)
	if err != nil {
		return err
	}
	if err := r.publish(o, out, errOut); err != nil {
		return err
	}
	if len(r.Failures) > 0 {
		return ErrFailed
	}
	return nil
}

// measure runs what was asked for.
func measure(ctx context.Context, o options, errOut io.Writer) (*Report, error) {
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o755); err != nil {
			return nil, fmt.Errorf("make the directory of the profiles: %w", err)
		}
	}
	h, err := open(ctx, o, errOut)
	if err != nil {
		return nil, err
	}
	defer h.close()
	r := &Report{Version: reportVersion, At: time.Now().UTC(), Settings: o.settings(), Failures: []string{}}
	if r.Machine, err = h.machine(ctx); err != nil {
		return nil, err
	}
	if r.Baseline, err = h.baseline(ctx); err != nil {
		return nil, err
	}
	if o.only != partBaseline {
		if err := h.connect(ctx); err != nil {
			return nil, err
		}
		if _, err := h.startPublisher(ctx); err != nil {
			return nil, err
		}
	}
	if o.wants(partLateness) {
		if r.Lateness, err = h.lateness(ctx); err != nil {
			return nil, err
		}
		r.Failures = append(r.Failures, r.Lateness.Failures...)
	}
	if o.wants(partBurst) {
		if r.Burst, err = h.burst(ctx, r.Baseline); err != nil {
			return nil, err
		}
		r.Failures = append(r.Failures, r.Burst.Failures...)
	}
	if o.wants(partAPI) {
		if r.API, err = h.throughTheDoor(ctx); err != nil {
			return nil, err
		}
		r.Failures = append(r.Failures, r.API.Failures...)
		if err := h.empty(ctx); err != nil { // for the next part
			return nil, err
		}
	}
	if o.wants(partRestart) { // the last: a million rows would weigh on the others
		if r.Restart, err = h.restart(ctx); err != nil {
			return nil, err
		}
		r.Failures = append(r.Failures, r.Restart.Failures...)
	}
	if o.wants(partRebuild) { // it needs no publisher
		if r.Rebuild, err = h.rebuild(ctx); err != nil {
			return nil, err
		}
		r.Failures = append(r.Failures, r.Rebuild.Failures...)
	}
	r.Warnings = h.warnings()
	return r, nil
}

// shared is where the bench and the processes that it started say what they do, one line at a time.
type shared struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
