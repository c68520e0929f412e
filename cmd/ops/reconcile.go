package ops

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/omni-write/threads/services/publisher/maintenance"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/internal/progress"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher"
)

// ReconcileOptions say what is compared, and whether anything is changed.
type ReconcileOptions struct {
	ID    string    // of an account or a post (ours, or Threads' media id); empty: every connected account
	Mend  bool      // set right what the publisher's own moves set right
	Since time.Time // back to which the posts that Threads lists are compared
	Limit int       // at most so many posts of an account
	JSON  bool
}

// Reconcile compares rows, streams and Threads.
func (d *Deployment) Reconcile(ctx context.Context, o ReconcileOptions) (err error) {
	task := progress.Start(ctx, "reconcile", "posts", 0)
	defer task.Stop()
	r := maintenance.Reconciler{Mend: o.Mend, Limit: o.Limit, Since: o.Since, Progress: func(posts, about int) {
		task.Set(int64(posts), int64(about))
	}}
	cfg, err := publisher.ConfigFromEnv(d.getenv)
	if err != nil {
		return err
	}
	r.SweepGrace, r.ArmHorizon = cfg.SweepGrace, cfg.ArmHorizon
	if r.Vault, err = boot.OpenVault(d.common); err != nil {
		return err
	}
	r.Threads = threads.New(cfg.Threads())
	if r.Bus, r.DB, err = d.both(ctx); err != nil {
		return err
	}
	r.Publisher = publisher.New(cfg, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.Threads, Vault: r.Vault, Log: d.log}).Delivery
	found, err := r.Run(ctx, o.ID)
	task.Stop()
	if err != nil {
		return err
	}
	if o.JSON {
		err = d.printJSON(found)
	} else {
		err = printReconciled(d.out, found, o.Mend)
	}
	if n := found.Findings(); err == nil && n > 0 {
		err = fmt.Errorf("%s; the lines above say what to do", some(n, "finding"))
	}
	return err
}

func printReconciled(out io.Writer, r *maintenance.Reconciled, mend bool) error {
	l := lines{out: out}
	say := l.say
	mendable := 0
	for _, d := range r.Differences {
		what := d.PostID
		if what == "" {
			what = strings.TrimSpace(d.AccountID + " " + d.MediaID)
		}
		say("%s  %s: %s", what, d.Check, d.Says)
		switch {
		case d.Mended:
			say("    mended: %s", d.Mend)
		case d.Failed != "":
			say("    not mended (%s): %s", d.Mend, d.Failed)
		case d.Mend != "":
			mendable++
			say("    --mend would: %s", d.Mend)
		}
	}
	left := r.Findings()
	say("%s and %s looked at, %s listed by Threads: %s, %s.", some(r.Accounts, "account"), some(r.Posts, "post"), some(r.Listed, "post"),
		some(left+r.Mended, "finding"), some(len(r.Differences)-left-r.Mended, "remark"))
	if r.Cut {
		say("There are more posts than were looked at; --limit looks at more of them.")
	}
	switch {
	case r.Mended > 0:
		say("%d mended; the publisher does the rest within seconds.", r.Mended)
	case !mend && mendable > 0:
		say("--mend sets %d of them right.", mendable)
	}
	return l.err
}

// some is a number of things.
func some(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
