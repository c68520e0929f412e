package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/standalone"
	"github.com/omni-write/threads/cmd/standalone/walkthrough"
)

func newDemo(p *program) *cobra.Command {
	var exit bool
	c := &cobra.Command{
		Use:         "demo",
		Annotations: map[string]string{untilStopped: "yes"},
		Short:       "Everything in one process, and a walkthrough of the product",
		Long: `Runs everything in one process and walks through the product: an account is connected, posts go out at their second, one is
cancelled, one is deleted, and every event is printed as it is told. Then everything stays up until Ctrl-C.`,
		Example: `  threads demo                  stay up after the walkthrough
  threads demo --exit           end with status 0 when every step happened`,
		Args: flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			// Warnings only, so that the walkthrough can be read.
			return p.logged(c.Context(), "demo", "warn", func(ctx context.Context, _ boot.Common, log *zap.Logger) error {
				return runDemo(ctx, p, exit, log)
			})
		},
	}
	c.Flags().BoolVar(&exit, "exit", false, "end after the walkthrough: status 0 when every step happened")
	return c
}

func runDemo(ctx context.Context, p *program, exit bool, log *zap.Logger) error {
	outer := ctx
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	system, err := standalone.Start(ctx, p.getenv, log, p.starting)
	if err != nil {
		return err
	}
	walked := false
	err = system.Run(ctx, func(ctx context.Context) error {
		if err := walkthrough.Run(ctx, system.Endpoints, p.out, !exit); err != nil {
			return fmt.Errorf("the walkthrough broke off: %w", err)
		}
		walked = true
		if exit {
			stop()
		}
		return nil
	})
	if err == nil && exit && !walked {
		return outer.Err()
	}
	return err
}
