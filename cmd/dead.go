package cmd

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/omni-write/threads/cmd/ops"
)

func newDead(p *program) *cobra.Command {
	var asJSON bool
	list := func(c *cobra.Command, _ []string) error {
		return p.operate(c.Context(), func(ctx context.Context, d *ops.Deployment) error { return d.ListDead(ctx, asJSON) })
	}
	one := func(use, short string, run func(ctx context.Context, d *ops.Deployment, seq uint64) error) *cobra.Command {
		return &cobra.Command{
			Use: use + " SEQ", Short: short, Example: "  threads dead " + use + " 12",
			Args: func(_ *cobra.Command, args []string) error {
				_, err := sequence(args)
				return err
			},
			RunE: func(c *cobra.Command, args []string) error {
				seq, err := sequence(args)
				if err != nil {
					return err
				}
				return p.operate(c.Context(), func(ctx context.Context, d *ops.Deployment) error { return run(ctx, d, seq) })
			},
		}
	}
	c := &cobra.Command{
		Use:     "dead",
		Short:   "List, show and requeue what nobody could handle",
		Long:    "Messages that nobody could handle are set aside on the stream DEAD. Without a word: list." + whichDeployment,
		Example: "  threads dead\n  threads dead show 12\n  threads dead requeue 12",
		Args:    deadWord,
		RunE:    list,
	}
	c.PersistentFlags().BoolVar(&asJSON, "json", false, "JSON (default: a table)")
	c.AddCommand(
		&cobra.Command{Use: "list", Short: "Show what was set aside, the oldest first", Example: "  threads dead list --json", Args: deadWord, RunE: list},
		one("show", "Show one message whole", func(ctx context.Context, d *ops.Deployment, seq uint64) error { return d.ShowDead(ctx, seq) }),
		one("requeue", "Give a command back to its stream, to be worked once more", func(ctx context.Context, d *ops.Deployment, seq uint64) error {
			return d.RequeueDead(ctx, seq, asJSON)
		}),
	)
	return c
}

var errDeadWord = errors.New("dead takes list, show SEQ, or requeue SEQ")

func deadWord(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return errDeadWord
	}
	return nil
}

func sequence(args []string) (uint64, error) {
	if len(args) != 1 {
		return 0, errDeadWord
	}
	seq, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no sequence; `threads dead list` shows them", args[0])
	}
	return seq, nil
}
