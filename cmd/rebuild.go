package cmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/omni-write/threads/cmd/ops"
)

func newRebuild(p *program) *cobra.Command {
	var o ops.RebuildOptions
	c := &cobra.Command{
		Use:     "rebuild",
		Short:   "Build the table of posts anew from EVENTS, and show where the live one differs",
		Long:    "Builds the table of posts anew from EVENTS, beside the live one, and shows where they differ. Without --swap it changes nothing.\n\nFor\n--swap no publisher may run. Stop a system that runs in one process first: its NATS and Postgres are then started alone for the time." + whichDeployment,
		Example: "  threads rebuild\n  threads rebuild --swap        with all publishers stopped\n  threads rebuild --drop 12",
		Args:    flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Swap && o.Drop > 0 {
				return usage(errors.New("--drop goes without --swap"))
			}
			run := func(ctx context.Context, d *ops.Deployment) error { return d.Rebuild(ctx, o) }
			if o.Swap {
				return p.operateStopped(c.Context(), run)
			}
			return p.operate(c.Context(), run)
		},
	}
	f := c.Flags()
	f.BoolVar(&o.Swap, "swap", false, "make the rows that differ what EVENTS says; all publishers must be stopped")
	f.Uint64Var(&o.Drop, "drop", 0, "count the skipped event of this `sequence` no longer, which need not be applied (default: none); nothing is rebuilt then")
	f.IntVar(&o.Show, "show", 100, "at most so many differences, and events that were skipped, are shown")
	f.BoolVar(&o.JSON, "json", false, "JSON (default: a table)")
	return c
}
