package cmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/omni-write/threads/cmd/ops"
	"github.com/omni-write/threads/cmd/ops/original"
)

func newImportOriginal(p *program) *cobra.Command {
	var (
		o                               ops.ImportOptions
		stopped, overdue, users, scopes string
	)
	c := &cobra.Command{
		Use:   "import-original",
		Short: "Take over accounts, queue and history of the system before this one",
		Long: `Takes over connections, queue and history of the original, whose database is read and never written. It may be run again at any time,
also after it was killed: what is here is known. docs/moving.md is the way to go, step by step.` + whichDeployment,
		Example: `  export ORIGINAL_DATABASE_URL=postgres://reader:password@old-db/app
  threads import-original --dry-run --old-backend-stopped-at 1s
  threads import-original --old-backend-stopped-at 2026-11-02T10:00:00Z`,
		Args: flagsOnly,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			now := time.Now()
			if o.StoppedAt, err = ops.ParseTime(stopped, now); err != nil {
				return usage(fmt.Errorf("--old-backend-stopped-at: %w", err))
			}
			o.Overdue, o.Scopes = original.Overdue(overdue), strings.Split(scopes, ",")
			if users != "" {
				o.Users = strings.Split(users, ",")
			}
			if err := o.Mistakes(now); err != nil {
				return usage(err)
			}
			return p.operate(c.Context(), func(ctx context.Context, d *ops.Deployment) error { return d.ImportOriginal(ctx, o) })
		},
	}
	f := c.Flags()
	f.StringVar(&o.From, "from", "", "`address` of the original's database (default: ORIGINAL_DATABASE_URL)")
	f.BoolVar(&o.DryRun, "dry-run", false, "look and judge, and change nothing")
	f.StringVar(&stopped, "old-backend-stopped-at", "", "`time` at which the original's backend was stopped for good, or how long ago: "+
		"2026-11-02T10:00:00Z, or 5m. Without it nothing that is queued is taken over, for two would publish it")
	f.StringVar(&overdue, "overdue", string(original.Hold), "what was due by then and is not POSTED: "+
		"`hold` it for its owner to look, publish it now, or fail it")
	f.StringVar(&users, "account-user", "", "only the connections and posts of these `users`, separated by commas (default: all)")
	f.StringVar(&scopes, "scopes", "threads_basic,threads_content_publish",
		"the `scopes` that the original asked people for, its THREADS_DEFAULT_SCOPES")
	f.IntVar(&o.Batch, "batch", 500, "how many `rows` are in hand at a time, 1 to 1000")
	f.BoolVar(&o.JSON, "json", false, "a line of JSON for every row, and the report as the last "+
		"(default: words, and a line for rows that were not simply taken)")
	_ = c.RegisterFlagCompletionFunc("overdue", cobra.FixedCompletions(
		[]string{string(original.Hold), string(original.Publish), string(original.Fail)}, cobra.ShellCompDirectiveNoFileComp))
	return c
}
