package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/omni-write/threads/cmd/ops"
)

func newReconcile(p *program) *cobra.Command {
	var (
		o     ops.ReconcileOptions
		since string
	)
	c := &cobra.Command{
		Use:   "reconcile [ACCOUNT|POST]",
		Short: "Compare rows, streams and Threads; --mend sets right what is safe",
		Long: `Compares rows with EVENTS, with the alarms and with Threads, and says where they differ. Without an id: every connected account. It
never publishes, and decides no outcome that is not known. Status 1 when there are findings that are not mended; remarks, as of a
post that its owner published elsewhere, leave it at 0.` + whichDeployment,
		Example: "  threads reconcile\n  threads reconcile acct_01… --since 48h\n  threads reconcile --mend post_01…",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("reconcile takes one id: of an account, or of a post (ours, or Threads' media id)")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) (err error) {
			if o.Limit < 1 || o.Limit > 100_000 {
				return usage(errors.New("--limit is from 1 to 100000"))
			}
			if o.Since, err = ops.ParseTime(since, time.Now()); err != nil {
				return usage(fmt.Errorf("--since: %w", err))
			}
			if len(args) == 1 {
				o.ID = args[0]
			}
			return p.operate(c.Context(), func(ctx context.Context, d *ops.Deployment) error { return d.Reconcile(ctx, o) })
		},
	}
	f := c.Flags()
	f.BoolVar(&o.Mend, "mend", false, "also set right what the publisher's own moves set right (default: say what that would be)")
	f.StringVar(&since, "since", "168h", "`time` or age back to which the posts that Threads lists are compared")
	f.IntVar(&o.Limit, "limit", 1000, "at most so many `posts` of an account, open ones and the latest first")
	f.BoolVar(&o.JSON, "json", false, "JSON (default: sentences)")
	return c
}
