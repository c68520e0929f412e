package ops

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/omni-write/threads/internal/progress"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/projector"
)

// RebuildOptions say what a rebuild changes and shows.
type RebuildOptions struct {
	Swap bool // make the rows that differ what EVENTS says
	Show int  // at most so many differences are shown
	JSON bool
	Drop uint64 // the sequence of a skipped event whose note is taken away; 0: none
}

// Rebuild builds the table of posts anew from EVENTS, beside the live one, and shows where they differ.
func (d *Deployment) Rebuild(ctx context.Context, o RebuildOptions) error {
	if o.Drop > 0 {
		return d.dropSkipped(ctx, o.Drop)
	}
	cfg, err := publisher.ConfigFromEnv(d.getenv)
	if err != nil {
		return err
	}
	b, db, err := d.both(ctx)
	if err != nil {
		return err
	}
	task := progress.Start(ctx, "rebuild", "facts", 0)
	defer task.Stop()
	found, err := projector.Rebuilder{Bus: b, DB: db, Cfg: cfg.Projector(), Log: d.log, Progress: func(done, all uint64) {
		task.Set(int64(done), int64(all)) //nolint:gosec // a number of messages is small
	}}.Run(ctx, o.Show, o.Swap)
	task.Stop()
	if err != nil {
		return err
	}
	if o.JSON {
		return d.printJSON(found)
	}
	return printRebuilt(d.out, found, o.Show)
}

func printRebuilt(out io.Writer, r *projector.Rebuilt, show int) error {
	l := lines{out: out}
	say := l.say
	say("%d events of %d posts, up to sequence %d, in %.1f s.", r.Events, r.Posts, r.Last, r.Seconds)
	say("%d rows are what EVENTS says, %d are not; %d are ahead of it, %d are not on it.", r.Equal, r.Different, r.Ahead, r.OnlyLive)
	for _, d := range r.Differences {
		if d.LiveRev == 0 {
			say("  %s  rev %d is missing in the table", d.ID, d.Rev)
			continue
		}
		say("  %s  rev %d, on EVENTS %d: %s", d.ID, d.LiveRev, d.Rev, strings.Join(d.Columns, ", "))
	}
	if more := r.Different - len(r.Differences); more > 0 {
		say("  … and %d more; --show shows more of them", more)
	}
	if r.Swapped > 0 {
		say("%d rows were swapped; what they were is in the table posts_before_rebuild. Posts that are due are looked for on Threads first.", r.Swapped)
	}
	if r.Applied > 0 {
		say("%d events that had been skipped are no longer: they are applied, or no longer on EVENTS.", r.Applied)
	}
	if len(r.Skipped) > 0 {
		say("%d events on EVENTS could not be read or written to the tables:", len(r.Skipped))
	}
	for _, s := range r.Skipped[:min(len(r.Skipped), show)] {
		say("  seq %d  %s  %s: %s", s.Seq, s.Type, cmp.Or(s.PostID, s.AccountID, "of no post or account"), s.Why)
	}
	if more := len(r.Skipped) - show; more > 0 {
		say("  … and %d more; --show shows more of them", more)
	}
	if len(r.Skipped) > 0 {
		say("Events of a newer version: finish the change of version, then `rebuild --swap`, with all publishers stopped. One that need not be applied: `rebuild --drop SEQ`.")
	}
	return l.err
}

// dropSkipped has a skipped event counted no longer, which need not be applied.
func (d *Deployment) dropSkipped(ctx context.Context, seq uint64) error {
	_, db, err := d.both(ctx)
	if err != nil {
		return err
	}
	there, err := projector.DropSkipped(ctx, db, seq)
	switch {
	case err != nil:
		return err
	case !there:
		return fmt.Errorf("no event of sequence %d is noted as skipped; `doctor` counts those that are, and `rebuild` shows them", seq)
	}
	l := lines{out: d.out}
	l.say("The event %d is not counted as skipped any more. It stays on EVENTS.", seq)
	return l.err
}
