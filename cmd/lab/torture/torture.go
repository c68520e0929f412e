// Package torture holds the promise of the product against everything that can go wrong at once: posts of all kinds go out
// through real parts, each in a process of its own, while Threads misbehaves, processes are killed and stopped, wake-ups
// are lost and doubled, and NATS and Postgres go away and come back. After each round Threads, EVENTS and the table must
// say the same: nothing lost, nothing twice, nothing early.
//
// A round is drawn from the seed and its number, so it can be repeated: --seed S --from N --rounds 1. What is repeated is the
// plan; how the processes race with each other is the machine's.
package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus/contract"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/progress"
)

// ErrViolated says that a promise was broken; the report says which.
var ErrViolated = errors.New("a promise was broken; the report says which")

// Options are what a run is asked for.
type Options struct {
	minutes    float64
	rounds     int
	from       int
	seed       uint64
	posts      int
	publishers int
	only       string
	json       string
	dir        string
	logs       bool
	// othersWithin bounds the p99 of the lateness of quiet tenants' posts.
	othersWithin time.Duration
	top          bool // only the most dangerous faults, and none that makes a round long
}

// AddFlags adds what a run can be asked for to a set of flags.
func (o *Options) AddFlags(f *pflag.FlagSet) {
	f.Float64Var(&o.minutes, "minutes", 5, "how long to go on; the round in hand is finished")
	f.IntVar(&o.rounds, "rounds", 0, "how many rounds (default: as many as the minutes allow)")
	f.IntVar(&o.from, "from", 1, "`number` of the first round; with the seed of a failed run, it repeats that round")
	f.Uint64Var(&o.seed, "seed", 0, "`number` that decides everything (default: one from the clock, which is printed)")
	f.IntVar(&o.posts, "posts", 40, "posts of each round")
	f.IntVar(&o.publishers, "publishers", 0, "publishers at work (default: two, and three in every third round)")
	f.StringVar(&o.only, "only", "", "`names` of faults, separated by commas: every round has all of them; list prints the names")
	f.DurationVar(&o.othersWithin, "others-within", time.Second,
		"how late the posts of quiet tenants may be, at p99, beside a noisy tenant, a frozen recorder or a locked account")
	f.StringVar(&o.json, "json", "", "`file` for the report as JSON; - writes it to standard output, and the rest to standard error")
	f.StringVar(&o.dir, "dir", "", "`directory` for the state of the run (default: the system's temporary directory)")
	f.BoolVar(&o.logs, "logs", false, "leave the directory with the logs of all processes behind, even when all is well")
}

// Complete fills in what follows from other flags, and names everything that is not valid.
func (o *Options) Complete(f *pflag.FlagSet) error {
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	if o.rounds > 0 && !f.Changed("minutes") { // a number of rounds is meant as said
		o.minutes = 24 * 60
	}
	return o.mistakes()
}

// mistakes names everything that is not valid, at once.
func (o Options) mistakes() error {
	var wrong []error
	if o.minutes <= 0 || o.rounds < 0 || o.from < 1 || o.publishers < 0 {
		wrong = append(wrong, errors.New("--minutes must be more than 0, --from at least 1, --rounds and --publishers not negative"))
	}
	if o.othersWithin <= 0 {
		wrong = append(wrong, errors.New("--others-within must be more than 0"))
	}
	if o.posts < 10 || o.posts > 400 {
		wrong = append(wrong, errors.New("--posts is from 10 to 400 for each round"))
	}
	for _, name := range o.names() {
		if find(name) == nil {
			wrong = append(wrong, fmt.Errorf("--only: there is no fault %q; --only list prints them", name))
		}
	}
	return errors.Join(wrong...)
}

// names are the faults asked for.
func (o Options) names() []string {
	if o.only == "" || o.only == "list" {
		return nil
	}
	return strings.Split(o.only, ",")
}

// Run goes through the rounds and writes the report.
func (o Options) Run(ctx context.Context, out, errOut io.Writer) error {
	if o.only == "list" {
		for _, t := range faults {
			_, _ = fmt.Fprintf(out, "%-18s %s\n", t.name, t.what)
		}
		return nil
	}
	say := out
	if o.json == "-" {
		say = errOut
	}
	r, err := o.run(ctx, say)
	if r != nil {
		r.print(say)
		err = errors.Join(err, r.write(o.json, out))
	}
	if err == nil && len(r.Violations) > 0 {
		return ErrViolated
	}
	return err
}

// enough rounds that broke a promise end a run.
const enough = 3

// run goes through the rounds until the time is over, or enough of them broke a promise.
func (o Options) run(ctx context.Context, out io.Writer) (*Report, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := newReport(o)
	began := time.Now()
	task := o.progress(ctx, began)
	defer task.Stop()
	e, err := open(ctx, o, aside{task, out})
	if err != nil {
		return nil, err
	}
	defer func() { e.close(o.logs || len(r.Violations) > 0) }()
	end := began.Add(time.Duration(o.minutes * float64(time.Minute)))
	for n, bad := o.from, 0; bad < enough && ctx.Err() == nil && (o.rounds == 0 || n < o.from+o.rounds) && (n == o.from || time.Now().Before(end)); n++ {
		before := len(r.Violations)
		task.Note(fmt.Sprintf("torture, round %d", n))
		if o.rounds > 0 {
			task.Set(int64(n-o.from), 0)
		}
		if err := e.round(ctx, newPlan(o, n), r); err != nil {
			return r, fmt.Errorf("round %d of seed %d: %w", n, o.seed, err)
		}
		if len(r.Violations) > before {
			bad++
		}
	}
	r.Took = time.Since(began).Seconds()
	if ctx.Err() == nil {
		if _, err := contract.Stream(ctx, e.Bus.JetStream(), events.StreamEvents); err != nil {
			r.Violations = append(r.Violations, Violation{What: "a fact does not keep to its schema: " + err.Error()})
		}
	}
	return r, ctx.Err()
}

// progress shows how far the run is: by rounds where their number was given, else by the time.
func (o Options) progress(ctx context.Context, began time.Time) *progress.Task {
	if o.rounds > 0 {
		return progress.Start(ctx, "torture", "rounds", int64(o.rounds))
	}
	task := progress.Start(ctx, "torture", "s", int64(o.minutes*60))
	go func() {
		for clock.Sleep(ctx, time.Second) {
			task.Set(int64(time.Since(began).Seconds()), 0)
		}
	}()
	return task
}

// aside writes lines out of the way of a bar.
type aside struct {
	task *progress.Task
	out  io.Writer
}

func (a aside) Write(p []byte) (n int, err error) {
	a.task.Aside(func() { n, err = a.out.Write(p) })
	return n, err
}

// write leaves the report as JSON where it was asked for.
func (r *Report) write(path string, out io.Writer) error {
	if path == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	b = append(b, '\n')
	if path == "-" {
		_, err = out.Write(b)
		return err
	}
	if err := os.WriteFile(path, b, 0o644); err != nil { //nolint:gosec // a report for everyone
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// FaultNames are the names of all faults, for --only.
func FaultNames() []string {
	names := []string{"list"}
	for _, t := range faults {
		names = append(names, t.name)
	}
	return names
}

// find is the fault of a name.
func find(name string) *fault {
	if i := slices.IndexFunc(faults, func(t fault) bool { return t.name == name }); i >= 0 {
		return &faults[i]
	}
	return nil
}
