package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/omni-write/threads/internal/clock"
)

// PeerOptions are what a run beside a peer is asked for.
type PeerOptions struct {
	Options

	pairs   int
	rows    int
	program string
}

// AddFlags adds what a run can be asked for to a set of flags.
func (o *PeerOptions) AddFlags(f *pflag.FlagSet) {
	f.IntVar(&o.pairs, "pairs", 3, "how often each of the two runs, in turn")
	f.IntVar(&o.posts, "posts", 10_000, "posts of the burst, all due at one second")
	f.IntVar(&o.accounts, "accounts", 1000, "accounts that the posts are spread over")
	f.IntVar(&o.rate, "rate", 100, "posts a second of the lateness figure")
	f.IntVar(&o.seconds, "seconds", 60, "how long the lateness figure goes on")
	f.IntVar(&o.rows, "rows", 1_000_000, "posts for a later year that stand in the table all the while, and as many jobs in River's; of ours somebody reads lists meanwhile")
	f.DurationVar(&o.ahead, "ahead", 0, "how long before its time the first post of a run is handed in (default: 10 s and 12 ms a post)")
	addSyncDelay(f, &o.syncDelay)
	f.StringVar(&o.json, "json", "", "`file` for the report as JSON; - writes it to standard output, and the table to standard error")
	f.Uint64Var(&o.seed, "seed", 1, "`number` that decides the lengths of the texts and the order of the accounts")
	f.StringVar(&o.dir, "dir", "",
		"`directory` for the state of the run; it should be on a real disk (default: the system's temporary directory)")
	f.StringVar(&o.program, "river", "", "`program` built from cmd/lab/peers (default: it is built from the checkout that this runs in)")
}

// Mistakes names everything that is not valid.
func (o *PeerOptions) Mistakes() error {
	o.plain, o.scheduled, o.facts = true, 1, 1
	if o.pairs < 1 || o.rows < 0 {
		return errors.New("--pairs must be at least 1, and --rows not negative")
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
	Accept Acceptance `json:"accept"`
	Burst  Delivery   `json:"burst"`
	// Cost is of the burst's posts, from before the first was handed in to the last that is done.
	Cost     Cost     `json:"cost"`
	Memory   int64    `json:"memory"` // of the process that publishes, at most
	Lateness Delivery `json:"lateness"`
	// Lists are those of 50 that somebody reads beside the steady stream; River has no such reader.
	Lists Answers `json:"lists"`
}

// Acceptance is how fast posts for tomorrow are taken, while nothing else is to be done.
type Acceptance struct {
	// Full is with every client asking again as soon as it is answered, Half at half that rate, from when each should have asked.
	Full ScheduleRun `json:"full"`
	Half ScheduleRun `json:"half"`
	Cost Cost        `json:"cost"`
}

// Run measures both in turn and writes the report.
func (o *PeerOptions) Run(ctx context.Context, out, errOut io.Writer) error {
	if ran, err := o.inSlowSyncs(ctx, out, errOut); ran {
		return err
	}
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
	if o.rows > 0 {
		e.say("writing %d posts for a later year", o.rows)
		if err := e.fill(ctx, o.rows); err != nil {
			return err
		}
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
		p.Ours, err = e.peerOurs(ctx, "ours"+run, o.rows > 0, r)
		return err
	}
	river := func() (err error) {
		p.River, err = e.peerRiver(ctx, o, "river"+run, r)
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
	{"accepted a second", func(p Pair) float64 { return p.Ours.Accept.Full.PerSecond / p.River.Accept.Full.PerSecond }},
	{"processor time to accept one", func(p Pair) float64 { return p.Ours.Accept.Cost.TotalCPU / p.River.Accept.Cost.TotalCPU }},
	{"lateness of the burst's last post", func(p Pair) float64 { return p.Ours.Burst.Took / p.River.Burst.Took }},
	{"lateness at p50", func(p Pair) float64 { return p.Ours.Lateness.Lateness.P50 / p.River.Lateness.Lateness.P50 }},
	{"lateness at p99", func(p Pair) float64 { return p.Ours.Lateness.Lateness.P99 / p.River.Lateness.Lateness.P99 }},
	{"greatest lateness", func(p Pair) float64 { return p.Ours.Lateness.Lateness.Max / p.River.Lateness.Lateness.Max }},
	{"processor time for each post", func(p Pair) float64 { return p.Ours.Cost.TotalCPU / p.River.Cost.TotalCPU }},
	{"SQL calls for each post", func(p Pair) float64 { return p.Ours.Cost.Statements / p.River.Cost.Statements }},
	{"bytes in Postgres for each post", func(p Pair) float64 { return p.Ours.Cost.Database / p.River.Cost.Database }},
	{"memory of the process that publishes", func(p Pair) float64 { return float64(p.Ours.Memory) / float64(p.River.Memory) }},
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

// streamOf are handed in at once, the first due soon: those that come later have all the longer until they are due.
func (e *env) streamOf(run string) []planned {
	n, gap := e.o.rate*e.o.seconds, time.Second/time.Duration(e.o.rate)
	first := time.Now().Add(min(e.o.lead(n), streamLead))
	return e.plan(run, n, func(i int) time.Time { return first.Add(time.Duration(i) * gap) })
}

const streamLead = 30 * time.Second

// handIn hands in posts, apiClients at a time: each as soon as a client is free or, with a gap, that much after the one before.
type handIn func(ctx context.Context, posts []planned, gap time.Duration) (Answers, float64, error)

// halfFor is how long posts are handed in at half the rate.
const halfFor = 10 * time.Second

// acceptance has posts for tomorrow taken. Nothing is built or called for those meanwhile, by neither of the two.
func (e *env) acceptance(
	ctx context.Context, run string, hand handIn, read func(context.Context) (meter, error),
) (f Acceptance, err error) {
	tomorrow := time.Now().Add(24 * time.Hour)
	due := func(i int) time.Time { return tomorrow.Add(time.Duration(i) * time.Millisecond) }
	before, err := read(ctx)
	if err != nil {
		return f, err
	}
	if f.Full.Answers, f.Full.PerSecond, err = hand(ctx, e.plan(run+"-full", e.o.posts, due), 0); err != nil {
		return f, err
	}
	after, err := read(ctx)
	if err != nil {
		return f, err
	}
	f.Cost = after.since(before, e.o.posts)
	rate := f.Full.PerSecond / 2
	n := min(e.o.posts, max(1, int(rate*halfFor.Seconds())))
	e.say("%s: %.0f a second; now at half that rate", run, f.Full.PerSecond)
	f.Half.Answers, f.Half.PerSecond, err = hand(ctx, e.plan(run+"-half", n, due), time.Duration(float64(time.Second)/rate))
	return f, err
}

// peerOurs is our turn: posts come over HTTP, with the gateway and the publisher in processes of their own.
func (e *env) peerOurs(ctx context.Context, run string, reader bool, report *PeersReport) (f PeerRun, err error) {
	if _, err := e.startPublisher(ctx); err != nil {
		return f, err
	}
	defer e.stopPublisher()
	d, err := e.openGateway(ctx)
	if err != nil {
		return f, err
	}
	defer d.stop()
	hand := func(ctx context.Context, posts []planned, gap time.Duration) (Answers, float64, error) {
		return e.handIn(ctx, d, posts, paced(gap))
	}
	e.say("%s: accepting %d posts for tomorrow", run, e.o.posts)
	if f.Accept, err = e.acceptance(ctx, run, hand, e.meter); err != nil {
		return f, err
	}
	e.say("%s: %d posts at one second", run, e.o.posts)
	before, err := e.meter(ctx)
	if err != nil {
		return f, err
	}
	var wrong verdict
	burst := run + "-burst"
	if f.Burst, wrong, err = e.deliver(ctx, d, burst, e.burstOf(burst)); err != nil {
		return f, err
	}
	report.Failures = append(report.Failures, wrong...)
	after, err := e.meter(ctx)
	if err != nil {
		return f, err
	}
	f.Cost = after.since(before, e.o.posts)
	_, f.Memory = e.publisher.Memory()
	e.say("%s: the last was %.1f s late; now %d a second", run, f.Burst.Took, e.o.rate)
	stop := func() Answers { return Answers{} }
	if reader {
		stop = d.readLists(ctx, e.say)
	}
	stream := run + "-stream"
	f.Lateness, wrong, err = e.deliver(ctx, d, stream, e.streamOf(stream))
	f.Lists = stop()
	report.Failures = append(report.Failures, wrong...)
	return f, err
}

// paced says when the i-th post is handed in, from now on; nil without a gap.
func paced(gap time.Duration) func(i int) time.Time {
	if gap == 0 {
		return nil
	}
	first := time.Now()
	return func(i int) time.Time { return first.Add(time.Duration(i) * gap) }
}

// listEvery is how often somebody reads a list beside the steady stream.
const listEvery = 100 * time.Millisecond

// readLists reads lists of 50 until it is stopped; it then says how long their answers took. A list that is refused ends the reading,
// and none are in the report.
func (d *apiClient) readLists(ctx context.Context, say func(string, ...any)) (stop func() Answers) {
	ctx, cancel := context.WithCancel(ctx)
	read := make(chan []float64, 1)
	go func() {
		var took []float64
		for n := 0; ; n++ {
			t, err := d.do(ctx, n, http.MethodGet, "/api/threads/posts?limit=50", nil, http.StatusOK)
			if err != nil && ctx.Err() == nil {
				say("lists can no longer be read: %v", err)
				took = nil
			}
			if err != nil || !clock.Sleep(ctx, listEvery) {
				read <- took
				return
			}
			took = append(took, float64(t)/float64(time.Millisecond))
		}
	}()
	return func() Answers {
		cancel()
		return answersOf(<-read)
	}
}

// deliver has posts accepted and published, and holds them against the target, EVENTS and the rows.
func (e *env) deliver(ctx context.Context, d *apiClient, run string, posts []planned) (_ Delivery, wrong verdict, err error) {
	var none Delivery
	from, err := e.end(ctx)
	if err != nil {
		return none, nil, err
	}
	if _, _, err = e.handIn(ctx, d, posts, nil); err != nil {
		return none, nil, err
	}
	if err := sleepUntil(ctx, posts[len(posts)-1].due); err != nil {
		return none, nil, err
	}
	if err := e.settled(ctx, run, len(posts)); err != nil {
		return none, nil, err
	}
	arrivals, wrong, err := e.verify(ctx, run, posts, from)
	return weigh(arrivals), wrong, err
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
	a := f.Accept
	p.row("accepted for tomorrow", perSecond(a.Full.PerSecond), fmt.Sprintf("p50 %s, p99 %s", ms(a.Full.P50), ms(a.Full.P99)))
	p.row("at half that rate", perSecond(a.Half.PerSecond), fmt.Sprintf("p50 %s, p99 %s", ms(a.Half.P50), ms(a.Half.P99)))
	a.Cost.print(p)
	p.row("burst: last post late", fmt.Sprintf("%.2f s", f.Burst.Took), perSecond(f.Burst.PerSecond))
	f.Cost.print(p)
	p.row("memory at most", mib(f.Memory), "of the process that publishes")
	l := f.Lateness.Lateness
	p.row("steady: late at p50, p99, max", ms(l.P50), ms(l.P99)+", "+ms(l.Max))
	if f.Lists.Count > 0 {
		p.row("lists of 50 meanwhile: p50, p99", ms(f.Lists.P50), fmt.Sprintf("%s; %d of them", ms(f.Lists.P99), f.Lists.Count))
	}
}
