package cmd

import "github.com/spf13/cobra"

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
			return p.examine(c.Context(), asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "JSON (default: a table)")
	return c
}
