package cmd

import (
	"context"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/lab/torture"
)

func newTorture(p *program) *cobra.Command {
	var o torture.Options
	c := &cobra.Command{
		Use:   "torture",
		Short: "Hold posts of all kinds against everything that can go wrong",
		Long: `Posts of all kinds go out through real parts while processes are killed and stopped, Threads misbehaves, NATS and Postgres go away.
After each round Threads, EVENTS and the table must say the same: nothing lost, nothing twice, nothing early. Status 1 when a
promise was broken. A round is drawn from the seed and its number; with the same seed it can be repeated.`,
		Example: `  threads torture --minutes 5 --seed 1
  threads torture --seed 1 --from 7 --rounds 1     round 7 again
  threads torture --only list                      the names of the faults`,
		Args: flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.Complete(c.Flags()); err != nil {
				return usage(err)
			}
			return p.logged(c.Context(), "torture", "", func(ctx context.Context, _ boot.Common, _ *zap.Logger) error {
				return o.Run(ctx, p.out, p.errOut)
			})
		},
	}
	o.AddFlags(c.Flags())
	_ = c.RegisterFlagCompletionFunc("only", cobra.FixedCompletions(torture.FaultNames(), cobra.ShellCompDirectiveNoFileComp))
	return c
}
