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
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"
)

// ErrFailed says that a figure was measured and something about it was wrong: a post lost, doubled, early, or not POSTED.
var ErrFailed = errors.New("the run is not valid; the report says why")

// Options are what a run is asked for.
type Options struct {
	posts, accounts, rate, seconds, scheduled, facts, rows int

	ahead time.Duration
	// syncDelay is how much longer each sync takes than the disk's own.
	syncDelay time.Duration
	target    string
	json      string
	only      string
	seed      uint64
	quick     bool
	profile   string
	dir       string
	plain     bool // the target is one with the two calls and nothing more
}

// The parts of a run, in their order.
const (
	partBaseline = "baseline"
	partLateness = "lateness"
	partBurst    = "burst"
	partCost     = "cost"
	partAPI      = "api"
	partRestart  = "restart"
	partRebuild  = "rebuild"
)

// Parts are the names of the parts of a run, for --only.
var Parts = []string{partBaseline, partLateness, partBurst, partCost, partAPI, partRestart, partRebuild}

// AddFlags adds what a run can be asked for to a set of flags.
func (o *Options) AddFlags(f *pflag.FlagSet) {
	f.IntVar(&o.posts, "posts", 10_000, "posts of the burst, all due at one second")
	f.IntVar(&o.accounts, "accounts", 1000, "accounts that the posts are spread over")
	f.IntVar(&o.rate, "rate", 100, "posts a second of the lateness figure")
	f.IntVar(&o.seconds, "seconds", 30, "how long the lateness figure goes on")
	f.IntVar(&o.scheduled, "scheduled", 1_000_000, "posts that wait for a far future while the publisher is restarted")
	f.IntVar(&o.facts, "facts", 1_000_000, "facts on EVENTS from which the table is built anew")
	f.IntVar(&o.rows, "rows", 0, "posts that wait for a far future in the table meanwhile, with --only burst")
	f.DurationVar(&o.ahead, "ahead", 0,
		"how long before its time the first post of a run is handed in (default: 10 s and 12 ms a post)")
	addSyncDelay(f, &o.syncDelay)
	f.StringVar(&o.target, "target", "",
		"`URL` of another server that speaks the two publishing calls (default: the simulator, in a process of its own)")
	f.StringVar(&o.json, "json", "",
		"`file` for the report as JSON; - writes it to standard output, and the table to standard error")
	f.StringVar(&o.only, "only", "", "one of baseline, lateness, burst, cost, api, restart, rebuild (default: all)")
	f.Uint64Var(&o.seed, "seed", 1, "`number` that decides the lengths of the texts and the order of the accounts")
	f.BoolVar(&o.quick, "quick", false, "a small run of some 20 s, to see that all of it works; flags given beside it win")
	f.StringVar(&o.profile, "profile", "", "`directory` for CPU profiles of the burst, one of each process")
	f.StringVar(&o.dir, "dir", "",
		"`directory` for the state of the run; it should be on a real disk (default: the system's temporary directory)")
}

func addSyncDelay(f *pflag.FlagSet, d *time.Duration) {
	f.DurationVar(d, "sync-delay", 0, "how much longer each fsync and fdatasync takes, of Postgres and nats-server alike: a slow disk on a fast one (Linux, by seccomp user notification)")
}

// small are the sizes of a quick run.
var small = map[string]string{
	"posts": "400", "accounts": "50", "rate": "50", "seconds": "2", "scheduled": "20000", "facts": "30000", "ahead": "4s",
}

// Complete fills in what follows from other flags, and names everything that is not valid.
func (o *Options) Complete(f *pflag.FlagSet) error {
	if o.quick {
		for name, v := range small {
			if !f.Changed(name) {
				if err := f.Lookup(name).Value.Set(v); err != nil {
					return err
				}
			}
		}
	}
	return o.mistakes()
}

// mistakes names everything that is not valid, at once.
func (o Options) mistakes() error {
	var wrong []error
	if o.posts < 1 || o.accounts < 1 || o.rate < 1 || o.seconds < 1 || o.scheduled < 1 || o.facts < 1 {
		wrong = append(wrong, errors.New("--posts, --accounts, --rate, --seconds, --scheduled and --facts must be at least 1"))
	}
	if o.accounts > 0 && o.rate*o.seconds/o.accounts+o.posts/o.accounts > 240 {
		wrong = append(wrong, errors.New("an account may post 250 times a day: more --accounts, or fewer posts"))
	}
	if o.only != "" && !slices.Contains(Parts, o.only) {
		wrong = append(wrong, fmt.Errorf("--only is baseline, lateness, burst, cost, api, restart or rebuild, not %q", o.only))
	}
	if o.target != "" && !strings.HasPrefix(o.target, "http://") && !strings.HasPrefix(o.target, "https://") {
		wrong = append(wrong, errors.New("--target is an http or https URL"))
	}
	if o.syncDelay < 0 || o.syncDelay > time.Second {
		wrong = append(wrong, errSyncDelay)
	}
	if o.rows < 0 || o.rows > 0 && o.only != partBurst {
		wrong = append(wrong, errors.New("--rows is 0 or more, and goes with --only burst"))
	}
	if o.ahead < 0 {
		wrong = append(wrong, errors.New("--ahead must not be negative"))
	}
	return errors.Join(wrong...)
}

// wants says whether a part was asked for.
func (o Options) wants(part string) bool { return o.only == "" || o.only == part }

// lead is how long before its time the first of n posts is handed in: long enough to hand all in and to build their
// containers.
func (o Options) lead(n int) time.Duration {
	if o.ahead > 0 {
		return o.ahead
	}
	return 10*time.Second + time.Duration(n)*12*time.Millisecond
}

// bareCalls is how many bare calls make a baseline.
func (o Options) bareCalls() int { return min(max(o.posts, 200), 5000) }

// bareFor is how long the other baselines take each.
func (o Options) bareFor() time.Duration {
	if o.quick {
		return 500 * time.Millisecond
	}
	return 3 * time.Second
}

// apiFor is how long each run of schedule calls takes.
func (o Options) apiFor() time.Duration {
	if o.quick {
		return 500 * time.Millisecond
	}
	return 10 * time.Second
}

// sweepFor is how long a publisher is given for its first sweep before its memory is read.
func (o Options) sweepFor() time.Duration {
	if o.quick {
		return 500 * time.Millisecond
	}
	return 3 * time.Second
}

// Run measures what was asked for and writes the report.
func (o Options) Run(ctx context.Context, out, errOut io.Writer) error {
	if ran, err := o.inSlowSyncs(ctx, out, errOut); ran {
		return err
	}
	errOut = &shared{w: errOut}
	r, err := measure(ctx, o, errOut)
	if err != nil {
		return err
	}
	if err := publish(r, o.json, out, errOut); err != nil {
		return err
	}
	if len(r.Failures) > 0 {
		return ErrFailed
	}
	return nil
}

// measure runs what was asked for.
func measure(ctx context.Context, o Options, errOut io.Writer) (*Report, error) {
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o755); err != nil {
			return nil, fmt.Errorf("make the directory of the profiles: %w", err)
		}
	}
	e, err := open(ctx, o, errOut)
	if err != nil {
		return nil, err
	}
	defer e.close()
	r := &Report{Version: reportVersion, At: time.Now().UTC(), Settings: o.settings(), Failures: []string{}}
	if r.Machine, err = e.machine(ctx); err != nil {
		return nil, err
	}
	if r.Baseline, err = e.baseline(ctx); err != nil {
		return nil, err
	}
	if o.only != partBaseline {
		if err := e.connect(ctx); err != nil {
			return nil, err
		}
		if _, err := e.startPublisher(ctx); err != nil {
			return nil, err
		}
	}
	if o.wants(partLateness) {
		if r.Lateness, err = e.lateness(ctx); err != nil {
			return nil, err
		}
		r.Failures = append(r.Failures, r.Lateness.Failures...)
	}
	if o.wants(partBurst) {
		if r.Burst, err = e.burst(ctx, r.Baseline); err != nil {
			return nil, err
		}
		r.Failures = append(r.Failures, r.Burst.Failures...)
	}
	if o.wants(partCost) {
		if r.Cost, err = e.cost(ctx); err != nil {
			return nil, err
		}
		r.Failures = append(r.Failures, r.Cost.Failures...)
	}
	if o.wants(partAPI) {
		if r.API, err = e.throughTheAPI(ctx); err != nil {
			return nil, err
		}
		r.Failures = append(r.Failures, r.API.Failures...)
		if err := e.empty(ctx); err != nil { // for the next part
			return nil, err
		}
	}
	if o.wants(partRestart) { // the last: a million rows would weigh on the others
		if r.Restart, err = e.restart(ctx); err != nil {
			return nil, err
		}
		r.Failures = append(r.Failures, r.Restart.Failures...)
	}
	if o.wants(partRebuild) { // it needs no publisher
		if r.Rebuild, err = e.rebuild(ctx); err != nil {
			return nil, err
		}
		r.Failures = append(r.Failures, r.Rebuild.Failures...)
	}
	r.Warnings = e.warnings()
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
