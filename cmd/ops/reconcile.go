package ops

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher"
)

// reconcile compares rows, streams and Threads.
func reconcile(ctx context.Context, o *Ops, args []string) error {
	f := o.flags("reconcile", "reconcile [flags] [ACCOUNT|POST]: compare rows with EVENTS, with the alarms and with Threads, and say where they\n"+
		"differ. Without an id: every connected account. It never publishes, and decides no outcome that is not known")
	mend := f.Bool("mend", false, "also set right what the publisher's own moves set right (default: say what that would be)")
	since := f.String("since", "168h", "`time` or age back to which the posts that Threads lists are compared")
	limit := f.Int("limit", 1000, "at most so many `posts` of an account, open ones and the latest first")
	asJSON := f.Bool("json", false, "JSON (default: sentences)")
	rest, err := parseAround(f, args)
	if err != nil {
		return err
	}
	if len(rest) > 1 {
		return errors.New("reconcile takes one id: of an account, or of a post (ours, or Threads' media id)")
	}
	if *limit < 1 || *limit > 100_000 {
		return errors.New("-limit is from 1 to 100000")
	}
	r := publisher.Reconciler{Log: o.log, Mend: *mend, Limit: *limit, Progress: func(posts int) {
		if posts%100 == 0 {
			_, _ = fmt.Fprintf(o.errOut, "\r%d posts ", posts)
		}
	}}
	if r.Since, err = moment(*since, time.Now()); err != nil {
		return fmt.Errorf("-since: %w", err)
	}
	if r.Cfg, err = publisher.ConfigFromEnv(o.getenv); err != nil {
		return err
	}
	if r.Vault, err = boot.OpenVault(o.common); err != nil {
		return err
	}
	r.Threads = threads.New(r.Cfg.Threads())
	if r.Bus, err = o.streams(ctx); err != nil {
		return err
	}
	if r.DB, err = o.database(ctx); err != nil {
		return err
	}
	id := ""
	if len(rest) == 1 {
		id = rest[0]
	}
	found, err := r.Run(ctx, id)
	if found != nil && found.Posts >= 100 {
		_, _ = fmt.Fprintln(o.errOut)
	}
	if err != nil {
		return err
	}
	if *asJSON {
		return o.printJSON(found)
	}
	return printReconciled(o.out, found, *mend)
}

func printReconciled(out io.Writer, r *publisher.Reconciled, mend bool) error {
	var err error
	say := func(format string, args ...any) {
		_, e := fmt.Fprintf(out, format+"\n", args...)
		err = errors.Join(err, e)
	}
	mendable := 0
	for _, d := range r.Differences {
		what := cmp.Or(d.PostID, d.MediaID, d.AccountID)
		say("%s  %s: %s", what, d.Check, d.Says)
		switch {
		case d.Mended:
			say("    mended: %s", d.Mend)
		case d.Failed != "":
			say("    not mended (%s): %s", d.Mend, d.Failed)
		case d.Mend != "":
			mendable++
			say("    -mend would: %s", d.Mend)
		}
	}
	say("%s and %s looked at, %s listed by Threads: %s.", some(r.Accounts, "account"), some(r.Posts, "post"), some(r.Listed, "post"),
		some(len(r.Differences), "finding"))
	if r.Cut {
		say("There are more posts than were looked at; -limit looks at more of them.")
	}
	switch {
	case r.Mended > 0:
		say("%d mended; the publisher does the rest within seconds.", r.Mended)
	case !mend && mendable > 0:
		say("-mend sets %d of them right.", mendable)
	}
	return err
}

// some is a number of things.
func some(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func pauseAccount(ctx context.Context, o *Ops, args []string) error {
	f := o.flags("pause", "pause [-reason TEXT] [-json] ACCOUNT: hold an account's posts back. They are prepared, and none is published until\n"+
		"`resume`. How late a post may be goes on counting: what waits for longer fails as missed")
	why := f.String("reason", "", "one `line` for the account's owner: why")
	asJSON := f.Bool("json", false, "JSON (default: sentences)")
	p, id, err := o.pauser(ctx, f, args)
	if err != nil {
		return err
	}
	var waited int64
	p.Progress = func(calls int64) {
		if calls != waited {
			waited = calls
			_, _ = fmt.Fprintf(o.errOut, "Waiting for %d calls that were claimed before the pause.\n", calls)
		}
	}
	done, err := p.Pause(ctx, id, *why)
	if err != nil {
		return err
	}
	if *asJSON {
		return o.printJSON(done)
	}
	return printPause(o.out, done)
}

func resumeAccount(ctx context.Context, o *Ops, args []string) error {
	f := o.flags("resume", "resume [-json] ACCOUNT: let the posts of a paused account go out again; those that waited go at once")
	asJSON := f.Bool("json", false, "JSON (default: sentences)")
	p, id, err := o.pauser(ctx, f, args)
	if err != nil {
		return err
	}
	done, err := p.Resume(ctx, id)
	if err != nil {
		return err
	}
	if *asJSON {
		return o.printJSON(done)
	}
	return printPause(o.out, done)
}

// pauser reads the one account that pause and resume are about, and connects to what they need.
func (o *Ops) pauser(ctx context.Context, f *flag.FlagSet, args []string) (p publisher.Pauser, accountID string, err error) {
	rest, err := parseAround(f, args)
	if err != nil {
		return p, "", err
	}
	if len(rest) != 1 {
		return p, "", fmt.Errorf("%s takes the id of one account", f.Name())
	}
	if p.Bus, err = o.streams(ctx); err != nil {
		return p, "", err
	}
	p.DB, err = o.database(ctx)
	return p, rest[0], err
}

func printPause(out io.Writer, p publisher.Pause) error {
	var err error
	say := func(format string, args ...any) {
		_, e := fmt.Fprintf(out, format+"\n", args...)
		err = errors.Join(err, e)
	}
	id, at := p.Account.ID, p.Account.PausedAt
	switch {
	case at == nil && p.Already:
		say("%s was not paused.", id)
	case at == nil:
		say("%s is resumed; what waited goes out now, spaced where it is long overdue.", id)
	case p.Already:
		say("%s is paused since %s already. No post of it is on its way.", id, at.Format(time.RFC3339))
	default:
		say("%s is paused. No post of it is on its way, and none goes out until it is resumed.", id)
	}
	if !p.Told {
		say("EVENTS could not be told just now; auth tells it as soon as it can.")
	}
	if p.Queued > 0 {
		say("%s queued, %d of them overdue.", some(p.Queued, "post"), p.Overdue)
		if at != nil && p.FirstMissed != nil {
			say("How late a post may be goes on counting: unless it is resumed before, the first is given up as missed at %s.",
				p.FirstMissed.UTC().Format(time.RFC3339))
		}
	}
	return err
}
