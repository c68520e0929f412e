package cmd

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/lab/bench"
)

func newBench(p *program) *cobra.Command {
	var o bench.Options
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure the delivery path on this machine",
		Long: `Measures the delivery path on this machine with the real parts, each in a process of its own: how late posts go out, a burst, the HTTP
API, a restart, a rebuild. Every figure stands beside what the same machine does bare. docs/benchmarks.md says what the figures
mean. Status 1 when a post was lost, doubled or early.`,
		Example: `  threads bench                 everything, some eight minutes
  threads bench --quick         small, some twenty seconds: to see that it works
  threads bench --only burst --json burst.json --profile profiles`,
		Args: flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.Complete(c.Flags()); err != nil {
				return usage(err)
			}
			return p.logged(c.Context(), "bench", "", func(ctx context.Context, _ boot.Common, _ *zap.Logger) error {
				return o.Run(ctx, p.out, p.errOut)
			})
		},
	}
	o.AddFlags(c.Flags())
	_ = c.RegisterFlagCompletionFunc("only", cobra.FixedCompletions(bench.Parts, cobra.ShellCompDirectiveNoFileComp))
	c.AddCommand(newBenchTarget(p), newBenchPeers(p))
	return c
}

func newBenchTarget(p *program) *cobra.Command {
	var t bench.TargetOptions
	c := &cobra.Command{
		Use:         "target",
		Annotations: map[string]string{untilStopped: "yes"},
		Short:       "A server that takes posts and tells when each came, to measure another scheduler with",
		Long:        "A server that takes posts and tells when each came, to measure another scheduler with. What it saw is printed at the end.",
		Example:     "  threads bench target --addr 127.0.0.1:9097",
		Args:        flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := t.Mistakes(); err != nil {
				return usage(err)
			}
			return t.Run(c.Context(), os.Stdin, p.out)
		},
	}
	t.AddFlags(c.Flags())
	return c
}

func newBenchPeers(p *program) *cobra.Command {
	var o bench.PeerOptions
	c := &cobra.Command{
		Use:   "peers",
		Short: "Measure this system and River on the same work, in turn",
		Long: `Measures this system and River (a job queue on Postgres) in turn, on the same machine, Postgres and target: a burst, a steady stream,
and what a post costs. River's program is built from cmd/lab/peers, so this runs in a checkout. Status 1 when a post was lost, doubled
or early.`,
		Example: `  threads bench peers                                some fifteen minutes
  threads bench peers --pairs 1 --posts 1000 --seconds 10`,
		Args: flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.Mistakes(); err != nil {
				return usage(err)
			}
			return p.logged(c.Context(), "bench", "", func(ctx context.Context, _ boot.Common, _ *zap.Logger) error {
				return o.Run(ctx, p.out, p.errOut)
			})
		},
	}
	o.AddFlags(c.Flags())
	return c
}
