package ops

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/standalone"
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/services/publisher"
)

// Op is a command for the people who run the system.
type Op func(ctx context.Context, o *Ops, args []string) error

// OpWords are these commands by their words.
func OpWords() map[string]Op {
	return map[string]Op{"replay": replay, "rebuild": rebuild, "explain": explain, "dead": dead, "doctor": doctor, "import-original": importOriginal,
		"reconcile": reconcile, "pause": pauseAccount, "resume": resumeAccount}
}

// opPatience is how long an op waits for NATS or Postgres to answer at first: whoever called it watches.
const opPatience = 2 * time.Second

// Ops is what an op works with. Bus and database are connected when they are first needed.
type Ops struct {
	getenv func(string) string
	log    *zap.Logger
	out    io.Writer
	errOut io.Writer

	common boot.Common
	bus    *bus.Bus
	db     *bun.DB
}

// RunOp runs a command for the people who run the system, against NATS_URL and DATABASE_URL, or, where neither is set, the
// house of the state directory.
func RunOp(ctx context.Context, op Op, args []string, getenv func(string) string, log *zap.Logger, out, errOut io.Writer) error {
	getenv = standalone.Near(getenv)
	common, err := process.Env[boot.Common](getenv)
	if err != nil {
		return err
	}
	o := &Ops{getenv: getenv, log: log, out: out, errOut: errOut, common: common}
	defer o.close()
	return op(ctx, o, args)
}

func (o *Ops) close() {
	if o.bus != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = o.bus.Close(ctx)
	}
	if o.db != nil {
		_ = o.db.Close()
	}
}

func (o *Ops) streams(ctx context.Context) (_ *bus.Bus, err error) {
	if o.bus == nil {
		ctx, cancel := context.WithTimeout(ctx, opPatience)
		defer cancel()
		o.bus, err = boot.Connect(ctx, "ops", o.common, o.log, nil)
	}
	return o.bus, err
}

func (o *Ops) database(ctx context.Context) (_ *bun.DB, err error) {
	if o.db == nil {
		ctx, cancel := context.WithTimeout(ctx, opPatience)
		defer cancel()
		o.db, err = boot.OpenDatabase(ctx, "ops", o.common, o.log.WithOptions(zap.IncreaseLevel(zap.ErrorLevel))) // the error says it all
	}
	return o.db, err
}

// flags are an op's own, with what it is for.
func (o *Ops) flags(name, what string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(o.errOut)
	f.Usage = func() {
		_, _ = fmt.Fprintf(o.errOut, "usage: threads %s\n\n", what)
		f.PrintDefaults()
	}
	return f
}

func (o *Ops) printJSON(v any) error {
	enc := json.NewEncoder(o.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func replay(ctx context.Context, o *Ops, args []string) error {
	f := o.flags("replay", "replay [flags]: show the facts of EVENTS again, or tell them again on subjects of their own")
	var r Replay
	f.Uint64Var(&r.From, "from", 0, "first `sequence` (default: -since, or the start)")
	f.Uint64Var(&r.To, "to", 0, "last `sequence` (default: the end)")
	since := f.String("since", "", "`time` or age of the first fact: 2026-11-02T10:00:00Z, or 90m, 48h")
	until := f.String("until", "", "`time` or age of the last fact")
	facts := f.String("fact", "", "only these `facts`, separated by commas: published,failed,connected (default: all)")
	f.StringVar(&r.Account, "account", "", "only facts about this account `id`")
	f.StringVar(&r.Post, "post", "", "only facts about this post `id`")
	asJSON := f.Bool("json", false, "one line of JSON a fact (default: a table)")
	publish := f.String("publish", "", "tell them again on threads.replay.<`id`>.>, marked; nothing of ours listens there")
	perSecond := f.Int("rate", 0, "with -publish: at most so many a second (default: as fast as they go)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("replay takes flags only, not %q", f.Arg(0))
	}
	var err error
	now := time.Now()
	if r.Since, err = moment(*since, now); err != nil {
		return fmt.Errorf("-since: %w", err)
	}
	if r.Until, err = moment(*until, now); err != nil {
		return fmt.Errorf("-until: %w", err)
	}
	if *facts != "" {
		r.Facts = strings.Split(*facts, ",")
	}
	b, err := o.streams(ctx)
	if err != nil {
		return err
	}
	if *publish != "" {
		n, err := r.Publish(ctx, b.JetStream(), *publish, *perSecond)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(o.out, "%d facts told again on %s\n", n, events.Replayed(*publish, ">"))
		return err
	}
	printer := PrintTable(o.out)
	if *asJSON {
		printer = PrintJSON(o.out)
	}
	n, err := r.Each(ctx, b.JetStream(), printer)
	if err == nil && n == 0 {
		_, err = fmt.Fprintln(o.errOut, "No fact matches.")
	}
	return err
}

// moment reads a time, or how long ago it was. Empty is no time.
func moment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if age, err := time.ParseDuration(s); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a time (2026-11-02T10:00:00Z) nor an age (90m)", s)
	}
	return at, nil
}

func explain(ctx context.Context, o *Ops, args []string) error {
	f := o.flags("explain", "explain [-json] POST: everything that is known of a post, in the order in which it happened")
	asJSON := f.Bool("json", false, "JSON (default: a table)")
	rest, err := parseAround(f, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return errors.New("explain takes the id of one post: ours, Threads' media id, or the original's")
	}
	b, err := o.streams(ctx)
	if err != nil {
		return err
	}
	db, err := o.database(ctx)
	if err != nil {
		return err
	}
	story, err := Explain(ctx, b.JetStream(), db, rest[0])
	if err != nil {
		return err
	}
	if *asJSON {
		return o.printJSON(story)
	}
	return PrintStory(o.out, story, time.Now())
}

func dead(ctx context.Context, o *Ops, args []string) error {
	f := o.flags("dead", "dead [-json] list | show SEQ | requeue SEQ: what nobody could handle")
	asJSON := f.Bool("json", false, "JSON (default: a table)")
	rest, err := parseAround(f, args)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		rest = []string{"list"}
	}
	b, err := o.streams(ctx)
	if err != nil {
		return err
	}
	if rest[0] == "list" && len(rest) == 1 {
		letters, err := DeadLetters(ctx, b.JetStream())
		if err != nil {
			return err
		}
		if *asJSON {
			return o.printJSON(append([]DeadLetter{}, letters...))
		}
		return PrintLetters(o.out, letters)
	}
	if len(rest) != 2 || rest[0] != "show" && rest[0] != "requeue" {
		return errors.New("dead takes list, show SEQ, or requeue SEQ")
	}
	seq, err := strconv.ParseUint(rest[1], 10, 64)
	if err != nil {
		return fmt.Errorf("%q is no sequence; `dead list` shows them", rest[1])
	}
	if rest[0] == "show" {
		l, err := Letter(ctx, b.JetStream(), seq)
		if err != nil {
			return err
		}
		return o.printJSON(l)
	}
	db, err := o.database(ctx)
	if err != nil {
		return err
	}
	l, err := Requeue(ctx, b.JetStream(), db, seq)
	if err != nil {
		return err
	}
	if *asJSON {
		return o.printJSON(l)
	}
	_, err = fmt.Fprintf(o.out, "%s %s is given back to %s\n", l.Type, l.ID, l.Subject)
	return err
}

func rebuild(ctx context.Context, o *Ops, args []string) error {
	f := o.flags("rebuild", "rebuild [flags]: build the table of posts anew from EVENTS, beside the live one, and show where they differ")
	swap := f.Bool("swap", false, "make the rows that differ what EVENTS says; all publishers must be stopped")
	show := f.Int("show", 100, "at most so many differences are shown")
	asJSON := f.Bool("json", false, "JSON (default: a table)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("rebuild takes flags only, not %q", f.Arg(0))
	}
	cfg, err := publisher.ConfigFromEnv(o.getenv)
	if err != nil {
		return err
	}
	b, err := o.streams(ctx)
	if err != nil {
		return err
	}
	db, err := o.database(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	found, err := publisher.Rebuilder{Bus: b, DB: db, Cfg: cfg, Log: o.log, Progress: func(done, all uint64) {
		_, _ = fmt.Fprintf(o.errOut, "\r%d of %d facts, %.0f a second ", done, all, float64(done)/time.Since(began).Seconds())
		if done == all {
			_, _ = fmt.Fprintln(o.errOut)
		}
	}}.Run(ctx, *show, *swap)
	if err != nil {
		return err
	}
	if *asJSON {
		return o.printJSON(found)
	}
	return printRebuilt(o.out, found)
}

func printRebuilt(out io.Writer, r *publisher.Rebuilt) error {
	var err error
	say := func(format string, args ...any) {
		_, e := fmt.Fprintf(out, format+"\n", args...)
		err = errors.Join(err, e)
	}
	say("%d facts of %d posts, up to sequence %d, in %.1f s.", r.Events, r.Posts, r.Last, r.Seconds)
	say("%d rows are what EVENTS says, %d are not; %d are ahead of it, %d are not on it.", r.Equal, r.Different, r.Ahead, r.OnlyLive)
	for _, d := range r.Differences {
		if d.LiveRev == 0 {
			say("  %s  rev %d is missing in the table", d.ID, d.Rev)
			continue
		}
		say("  %s  rev %d, on EVENTS %d: %s", d.ID, d.LiveRev, d.Rev, strings.Join(d.Columns, ", "))
	}
	if more := r.Different - len(r.Differences); more > 0 {
		say("  … and %d more; -show shows more of them", more)
	}
	if r.Swapped > 0 {
		say("%d rows were swapped; what they were is in the table posts_before_rebuild. Posts that are due are looked for on Threads first.", r.Swapped)
	}
	return err
}

// parseAround parses flags before and after the words.
func parseAround(f *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			return words, nil
		}
		words, args = append(words, f.Arg(0)), f.Args()[1:]
	}
}
