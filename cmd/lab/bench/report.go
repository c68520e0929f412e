package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// Report is a run: the JSON of --json, and what the table is printed from.
type Report struct {
	Version  int       `json:"version"`
	At       time.Time `json:"at"`
	Machine  Machine   `json:"machine"`
	Settings Settings  `json:"settings"`

	Baseline *Baseline       `json:"baseline"`
	Lateness *LatenessFigure `json:"lateness,omitempty"`
	Burst    *BurstFigure    `json:"burst,omitempty"`
	Cost     *CostFigure     `json:"cost,omitempty"`
	API      *APIFigure      `json:"api,omitempty"`
	Restart  *RestartFigure  `json:"restart,omitempty"`
	Rebuild  *RebuildFigure  `json:"rebuild,omitempty"`

	// Warnings are the lines of warning and error in the publisher's log, counted by what they say.
	Warnings map[string]int `json:"warnings"`
	// Failures are those of all figures. A run with any is not valid.
	Failures []string `json:"failures"`
}

// reportVersion changes when a field changes its meaning.
const reportVersion = 2

// Settings are what the run was asked for.
type Settings struct {
	Posts     int    `json:"posts"`
	Accounts  int    `json:"accounts"`
	Rate      int    `json:"rate"`
	Seconds   int    `json:"seconds"`
	Scheduled int    `json:"scheduled"`
	Seed      uint64 `json:"seed"`
	Target    string `json:"target"`
}

func (o Options) settings() Settings {
	s := Settings{o.posts, o.accounts, o.rate, o.seconds, o.scheduled, o.seed, o.target}
	if s.Target == "" {
		s.Target = "simulator"
	}
	return s
}

// publish writes a report where it was asked for: its table, and as JSON into the file; - is the standard output.
func publish(r interface{ print(w io.Writer) }, file string, out, errOut io.Writer) error {
	if file == "" {
		r.print(out)
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if file == "-" {
		r.print(errOut)
		_, err := out.Write(b)
		return err
	}
	r.print(out)
	return os.WriteFile(file, b, 0o644) //nolint:gosec // a report is for everyone
}

// print writes the table.
func (r *Report) print(w io.Writer) {
	p := printer{w}
	r.Machine.print(p)
	p.line("")
	r.Baseline.print(p)
	if f := r.Lateness; f != nil {
		f.print(p)
	}
	if f := r.Burst; f != nil {
		f.print(p, r.Baseline)
	}
	if f := r.Cost; f != nil {
		f.print(p)
	}
	if f := r.API; f != nil {
		f.print(p)
	}
	if f := r.Restart; f != nil {
		f.print(p)
	}
	if f := r.Rebuild; f != nil {
		f.print(p)
	}
	p.line("")
	for _, what := range slices.Sorted(maps.Keys(r.Warnings)) {
		p.line("The publisher warned %d times: %s", r.Warnings[what], what)
	}
	if len(r.Failures) == 0 {
		p.line("Every post that was handed in arrived once, was told once and is POSTED.")
		return
	}
	p.line("NOT VALID:")
	for _, f := range r.Failures {
		p.line("  %s", f)
	}
}

type printer struct{ w io.Writer }

func (p printer) line(format string, args ...any) { _, _ = fmt.Fprintf(p.w, format+"\n", args...) }

// row is a name, a value and what the value is beside its baseline.
func (p printer) row(name, value, beside string) {
	p.line("%s", strings.TrimRight(fmt.Sprintf("  %-34s %12s   %s", name, value, beside), " "))
}

func (m Machine) print(p printer) {
	p.line("Machine: %d cores%s, load %s at the start, %s, %s", m.Cores, m.memory(), m.Load, m.System, m.Go)
	p.line("Postgres %s: fsync %s, synchronous_commit %s. nats-server %s: sync_interval %s. Disk: %s.",
		m.Postgres, m.Fsync, m.SynchronousCommit, m.NATS, m.NATSSync, m.Disk)
	slow := ""
	if m.SyncDelay != "" {
		slow = ", of which " + m.SyncDelay + " was added to each (--sync-delay: the kernel holds the caller by seccomp user notification)"
	}
	p.line("A sync of the disk: %s%s.", ms(m.SyncMs), slow)
	p.line("Target: %s.", m.Target)
}

func (b *Baseline) print(p printer) {
	p.line("Baseline, bare")
	p.row("publish calls", perSecond(b.CallsPerSecond), fmt.Sprintf("%d at a time", b.CallsAtOnce))
	p.row("synced JetStream publishes", perSecond(b.SinglesPerSecond), "one sync each")
	p.row("the same in atomic batches", perSecond(b.BatchedPerSecond), fmt.Sprintf("one sync for %d", b.BatchSize))
	p.row("Postgres commits", perSecond(b.CommitsPerSecond), fmt.Sprintf("on %d connections", b.Connections))
	p.row("one sync of the disk", ms(b.SyncMs), "median")
}

func (f *LatenessFigure) print(p printer) {
	p.line("")
	p.line("Lateness at %d posts a second for %.0f s: %s minus publishAt", f.Rate, f.Seconds, arrival(f.By))
	ours, bare := f.Ours.Lateness, f.Bare.Lateness
	p.row("p50", ms(ours.P50), besideMs(ours.P50, bare.P50))
	p.row("p90", ms(ours.P90), besideMs(ours.P90, bare.P90))
	p.row("p99", ms(ours.P99), besideMs(ours.P99, bare.P99))
	p.row("max", ms(ours.Max), besideMs(ours.Max, bare.Max))
	p.row("early", fmt.Sprint(f.Ours.Early), fmt.Sprintf("of %d; the earliest by %s", f.Ours.Posts, ms(ours.Min)))
	ours.print(p.w)
}

func (f *BurstFigure) print(p printer, b *Baseline) {
	p.line("")
	p.line("Burst: %d posts of %d accounts due at one second; %d containers ready ahead", f.Ours.Posts, f.Accounts, f.Prepared)
	if f.Prepared < f.Ours.Posts {
		p.line("  Some containers were made during the burst, which is then slower than it is: give them longer with --ahead.")
	}
	p.row("published", perSecond(f.Ours.PerSecond),
		fmt.Sprintf("%.0f %% of bare calls (%s right before)", 100*f.OfBare, perSecond(f.CallsPerSecond)))
	p.row("", "", beside(f.Ours.PerSecond, b.SinglesPerSecond, "bare synced JetStream publishes"))
	p.row("", "", beside(f.Ours.PerSecond, b.BatchedPerSecond, "bare JetStream messages in batches"))
	p.row("", "", beside(f.Ours.PerSecond, b.CommitsPerSecond, "bare Postgres commits"))
	p.row("last arrival", fmt.Sprintf("%.2f s", f.Ours.Took), "after the due second, by "+arrival(f.By))
	p.row("last row POSTED", fmt.Sprintf("%.1f s", f.Concluded), "after the due second")
	p.row("doubles", fmt.Sprint(f.Ours.Doubles), "")
	p.line("  from the due second to the last row:")
	f.Cost.print(p)
	p.row("publisher's memory at most", mib(f.Memory), "")
	p.row("accepted beforehand", perSecond(f.AcceptedPerSecond),
		beside(f.AcceptedPerSecond, b.SinglesPerSecond, "bare synced JetStream publishes"))
	f.Ours.Lateness.print(p.w)
}

func (f *RestartFigure) print(p printer) {
	p.line("")
	p.line("Restart of a killed publisher with %d scheduled posts", f.Scheduled)
	p.row("ready", fmt.Sprintf("%.2f s", f.Seconds), beside(f.Seconds, f.Empty, fmt.Sprintf("with none (%.2f s)", f.Empty)))
	p.row("publisher's memory", mib(f.Memory), fmt.Sprintf("with none %s", mib(f.EmptyMemory)))
	p.row("a post due 2 s later", ms(f.First), "late")
}

// print writes what a target saw of posts whose schedule is not ours.
func (d Delivery) print(w io.Writer) {
	p := printer{w}
	p.row("posts", fmt.Sprint(d.Posts), fmt.Sprintf("doubles: %d, early: %d", d.Doubles, d.Early))
	p.row("rate", perSecond(d.PerSecond), fmt.Sprintf("from the first due time to the last arrival, %.2f s", d.Took))
	l := d.Lateness
	p.row("lateness p50, p90, p99, max", ms(l.P50), fmt.Sprintf("%s, %s, %s", ms(l.P90), ms(l.P99), ms(l.Max)))
	l.print(w)
}

func arrival(by string) string {
	if by == "target" {
		return "arrival at the target"
	}
	return "the call as the publisher noted it (the target does not tell)"
}

func perSecond(v float64) string { return fmt.Sprintf("%.0f/s", v) }

func mib(bytes int64) string {
	if bytes == 0 {
		return "not known"
	}
	return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20))
}

func beside(v, base float64, name string) string {
	if base <= 0 {
		return ""
	}
	return fmt.Sprintf("%.2f × %s", v/base, name)
}

func besideMs(v, base float64) string {
	if base <= 0 {
		return ""
	}
	return fmt.Sprintf("bare %s, %.1f × that", ms(base), v/base)
}
