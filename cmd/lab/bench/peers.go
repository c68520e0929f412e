package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// PeerOptions are what a run beside a peer is asked for.
type PeerOptions struct {
	Options

	pairs   int
	program string
}

// AddFlags adds what a run can be asked for to a set of flags.
func (o *PeerOptions) AddFlags(f *pflag.FlagSet) {
	f.IntVar(&o.pairs, "pairs", 3, "how often each of the two runs, in turn")
	f.IntVar(&o.posts, "posts", 10_000, "posts of the burst, all due at one second")
	f.IntVar(&o.accounts, "accounts", 1000, "accounts that the posts are spread over")
	f.IntVar(&o.rate, "rate", 100, "posts a second of the lateness figure")
	f.IntVar(&o.seconds, "seconds", 30, "how long the lateness figure goes on")
	f.DurationVar(&o.ahead, "ahead", 0, "how long before its time the first post of a run is handed in (default: 10 s and 12 ms a post)")
	f.StringVar(&o.json, "json", "", "`file` for the report as JSON; - writes it to standard output, and the table to standard error")
	f.Uint64Var(&o.seed, "seed", 1, "`number` that decides the lengths of the texts and the order of the accounts")
	f.StringVar(&o.dir, "dir", "",
		"`directory` for the state of the run; it should be on a real disk (default: the system's temporary directory)")
	f.StringVar(&o.program, "river", "", "`program` built from cmd/lab/peers (default: it is built from the checkout that this runs in)")
}

// Mistakes names everything that is not valid.
func (o *PeerOptions) Mistakes() error {
	o.plain, o.scheduled, o.facts = true, 1, 1
	if o.pairs < 1 {
		return errors.New("--pairs must be at least 1")
	}
	if o.accounts > 0 && o.pairs*(o.posts+o.rate*o.seconds)/o.accounts > 240 {
		return errors.New("an account may post 250 times a day: more --accounts, or fewer posts or pairs")
	}
	return o.mistakes()
}

// PeersReport holds every run of both.
type PeersReport struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	Machine Machine   `json:"machine"`
	River   string    `json:"river"`
	Pairs   []Pair    `json:"pairs"`
	// Ratios are ours by River's, pair by pair.
	Ratios   map[string][]float64 `json:"ratios"`
	Failures []string             `json:"failures"`
}

// Pair are two runs, one after the other.
type Pair struct {
	Ours  PeerRun `json:"ours"`
	River PeerRun `json:"river"`
	// CallsPerSecond are bare calls of the target, measured before the pair.
	CallsPerSecond float64 `json:"bareCallsPerSecond"`
}

// PeerRun is what one of them did: a burst and a steady stream.
type PeerRun struct {
	AcceptedPerSecond float64  `json:"acceptedPerSecond"`
	AcceptedP99       float64  `json:"acceptedP99Ms"`
	Burst             Delivery `json:"burst"`
	// Cost is of the burst's posts, from before the first was handed in to the last that is done.
	Cost     Cost     `json:"cost"`
	Memory   int64    `json:"memory"` // of the process that publishes, at most
	Lateness Delivery `json:"lateness"`
}

// Run measures both in turn and writes the report.
func (o *PeerOptions) Run(ctx context.Context, out, errOut io.Writer) error {
	errOut = &shared{w: errOut}
	e, err := open(ctx, o.Options, errOut)
	if err != nil {
		return err
	}
	defer e.close()
	r := &PeersReport{Version: 1, At: time.Now().UTC(), Ratios: map[string][]float64{}, Failures: []string{}}
	if r.Machine, err = e.machine(ctx); err != nil {
		return err
	}
	r.Machine.Target = "the two calls and the reads that a careful client makes, in a process of its own"
	if o.program == "" {
		if o.program, err = e.buildRiver(ctx); err != nil {
			return err
		}
	}
	if err := e.connect(ctx); err != nil {
		return err
	}
	for i := range o.pairs {
		if err := o.pair(ctx, e, r, i); err != nil {
			return err
		}
	}
	if err := publish(r, o.json, out, errOut); err != nil {
		return err
	}
	if len(r.Failures) > 0 {
		return ErrFailed
	}
	return nil
}

// pair runs both, the one that is first in turn.
func (o *PeerOptions) pair(ctx context.Context, e *env, r *PeersReport, i int) (err error) {
	var p Pair
	if p.CallsPerSecond, err = e.bareCalls(ctx, o.bareCalls()); err != nil {
		return err
	}
	run := strconv.Itoa(i + 1)
	ours := func() (err error) {
		p.Ours, err = e.peerOurs(ctx, "ours"+run, r)
		return err
	}
	river := func() (err error) {
		p.River, err = e.peerRiver(ctx, o.program, "river"+run, r)
		return err
	}
	turns := []func() error{ours, river}
	if i%2 == 1 {
		slices.Reverse(turns)
	}
	for _, turn := range turns {
		if err := turn(); err != nil {
			return err
		}
	}
	r.Pairs = append(r.Pairs, p)
	for _, ratio := range ratios {
		r.Ratios[ratio.name] = append(r.Ratios[ratio.name], ratio.of(p))
	}
	return nil
}

// ratios are what the two are held against each other by.
var ratios = []struct {
	name string
	of   func(Pair) float64
}{
	{"accepted a second", func(p Pair) float64 { return p.Ours.AcceptedPerSecond / p.River.AcceptedPerSecond }},
	{"lateness of the burst's last post", func(p Pair) float64 { return p.Ours.Burst.Took / p.River.Burst.Took }},
	{"lateness at p50", func(p Pair) float64 { return p.Ours.Lateness.Lateness.P50 / p.River.Lateness.Lateness.P50 }},
	{"lateness at p99", func(p Pair) float64 { return p.Ours.Lateness.Lateness.P99 / p.River.Lateness.Lateness.P99 }},
	{"greatest lateness", func(p Pair) float64 { return p.Ours.Lateness.Lateness.Max / p.River.Lateness.Lateness.Max }},
	{"processor time for each post", func(p Pair) float64 { return p.Ours.Cost.TotalCPU / p.River.Cost.TotalCPU }},
	{"SQL calls for each post", func(p Pair) float64 { return p.Ours.Cost.Statements / p.River.Cost.Statements }},
	{"burst by bare calls", func(p Pair) float64 { return p.Ours.Burst.PerSecond / p.CallsPerSecond }},
}

// buildRiver builds River's program, which is a module of its own beside the bench.
func (e *env) buildRiver(ctx context.Context) (string, error) {
	e.say("building River's program")
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find cmd/lab/peers (run this in a checkout, or build it there and name it with --river): %w", err)
	}
	program := filepath.Join(e.Dir, "river")
	source := filepath.Join(strings.TrimSpace(string(root)), "cmd", "lab", "peers")
	build := exec.CommandContext(ctx, "go", "build", "-C", source, "-o", program, ".")
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build River's program: %w: %s", err, said)
	}
	return program, nil
}

// burstOf are the posts of a burst, streamOf those of a steady stream.
func (e *env) burstOf(run string) []planned {
	due := time.Now().Add(e.o.lead(e.o.posts)).Truncate(time.Second).Add(time.Second)
	return e.plan(run, e.o.posts, func(int) time.Time { return due })
}

func (e *env) streamOf(run string) []planned {
	n, gap := e.o.rate*e.o.seconds, time.Second/time.Duration(e.o.rate)
	first := time.Now().Add(e.o.lead(n))
	return e.plan(run, n, func(i int) time.Time { return first.Add(time.Duration(i) * gap) })
}

// peerOurs is our turn: posts come over HTTP, with the gateway and the publisher in processes of their own.
func (e *env) peerOurs(ctx context.Context, run string, report *PeersReport) (f PeerRun, err error) {
	if _, err := e.startPublisher(ctx); err != nil {
		return f, err
	}
	defer e.stopPublisher()
	d, err := e.openGateway(ctx)
	if err != nil {
		return f, err
	}
	defer d.stop()
	e.say("%s: %d posts at one second", run, e.o.posts)
	before, err := e.meter(ctx)
	if err != nil {
		return f, err
	}
	var wrong verdict
	burst := run + "-burst"
	if f.Burst, f.AcceptedPerSecond, f.AcceptedP99, wrong, err = e.deliver(ctx, d, burst, e.burstOf(burst)); err != nil {
		return f, err
	}
	report.Failures = append(report.Failures, wrong...)
	after, err := e.meter(ctx)
	if err != nil {
		return f, err
	}
	f.Cost = after.since(before, e.o.posts)
	_, f.Memory = e.publisher.Memory()
	e.say("%s: accepted %.0f a second, the last was %.1f s late; now %d a second", run, f.AcceptedPerSecond, f.Burst.Took, e.o.rate)
	stream := run + "-stream"
	f.Lateness, _, _, wrong, err = e.deliver(ctx, d, stream, e.streamOf(stream))
	report.Failures = append(report.Failures, wrong...)
	return f, err
}

// deliver has posts accepted and published, and holds them against the target, EVENTS and the rows.
func (e *env) deliver(
	ctx context.Context, d *apiClient, run string, posts []planned,
) (_ Delivery, perSecond, p99 float64, wrong verdict, err error) {
	var none Delivery
	from, err := e.end(ctx)
	if err != nil {
		return none, 0, 0, nil, err
	}
	accepted, perSecond, err := e.handIn(ctx, d, posts, nil)
	if err != nil {
		return none, 0, 0, nil, err
	}
	if err := sleepUntil(ctx, posts[len(posts)-1].due); err != nil {
		return none, 0, 0, nil, err
	}
	if err := e.settled(ctx, run, len(posts)); err != nil {
		return none, 0, 0, nil, err
	}
	arrivals, wrong, err := e.verify(ctx, run, posts, from)
	return weigh(arrivals), perSecond, accepted.P99, wrong, err
}

func (r *PeersReport) print(w io.Writer) {
	p := printer{w}
	r.Machine.print(p)
	for i, pair := range r.Pairs {
		p.line("")
		p.line("Pair %d; bare calls %s", i+1, perSecond(pair.CallsPerSecond))
		pair.Ours.print(p, "ours, over HTTP")
		pair.River.print(p, "River "+r.River+", by a function call")
	}
	p.line("")
	p.line("Ours by River's: median, least and greatest of %d pairs", len(r.Pairs))
	for _, ratio := range ratios {
		of := slices.Sorted(slices.Values(r.Ratios[ratio.name]))
		p.row(ratio.name, fmt.Sprintf("%.3f", quantile(of, 0.5)), fmt.Sprintf("%.3f to %.3f", of[0], of[len(of)-1]))
	}
	for _, f := range r.Failures {
		p.line("NOT VALID: %s", f)
	}
}

func (f PeerRun) print(p printer, who string) {
	p.line("%s", who)
	p.row("accepted", perSecond(f.AcceptedPerSecond), "p99 "+ms(f.AcceptedP99))
	p.row("burst: last post late", fmt.Sprintf("%.2f s", f.Burst.Took), perSecond(f.Burst.PerSecond))
	l := f.Lateness.Lateness
	p.row("steady: late at p50, p99, max", ms(l.P50), ms(l.P99)+", "+ms(l.Max))
	f.Cost.print(p)
	p.row("memory at most", fmt.Sprintf("%.0f MiB", float64(f.Memory)/(1<<20)), "")
}
