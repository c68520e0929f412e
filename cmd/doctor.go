package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/omni-write/threads/cmd/ops"
)

func newDoctor(p *program) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check a deployment, and say what is wrong with it",
		Long: "Checks settings, NATS, Postgres, keys, clock, issuer and Threads, and says in plain words what is wrong. Status 1 when\nsomething is." +
			whichDeployment,
		Example: "  threads doctor\n  threads doctor --json",
		Args:    flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.operate(c.Context(), func(ctx context.Context, d *ops.Deployment) error { return d.Doctor(ctx, asJSON) })
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "JSON (default: a table)")
	return c
}
