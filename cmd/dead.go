package cmd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/omni-write/threads/cmd/ops"
)

func newDead(p *program) *cobra.Command {
	var (
		asJSON, all bool
		since       string
		f           ops.DeadFilter
	)
	operate := func(c *cobra.Command, run func(context.Context, *ops.Deployment) error) (err error) {
		if f.Since, err = ops.ParseTime(since, time.Now()); err != nil {
			return usage(fmt.Errorf("--since: %w", err))
		}
		return p.operate(c.Context(), run)
	}
	list := func(c *cobra.Command, _ []string) error {
		return operate(c, func(ctx context.Context, d *ops.Deployment) error { return d.ListDead(ctx, f, asJSON) })
	}
	filters := func(c *cobra.Command) *cobra.Command {
		c.Flags().StringVar(&since, "since", "", "only what was set aside since a `time`, or an age as 2h (default: all)")
		c.Flags().StringVar(&f.Type, "type", "", "only messages of a `type`, as post.schedule.v1 (default: all)")
		return c
	}
	// one works on one letter, or, where each is given, on all that pass the filters.
	one := func(use, short string, run func(context.Context, *ops.Deployment, uint64) error, each func(context.Context, *ops.Deployment) error) *cobra.Command {
		c := &cobra.Command{
			Use: use + " SEQ", Short: short, Example: "  threads dead " + use + " 12",
			Args: func(_ *cobra.Command, args []string) error {
				if all {
					return deadWord(nil, args)
				}
				_, err := sequence(args)
				return err
			},
			RunE: func(c *cobra.Command, args []string) error {
				if all {
					return operate(c, each)
				}
				if since != "" || f.Type != "" {
					return usage(errors.New("--since and --type go with --all"))
				}
				seq, err := sequence(args)
				if err != nil {
					return err
				}
				return operate(c, func(ctx context.Context, d *ops.Deployment) error { return run(ctx, d, seq) })
			},
		}
		if each != nil {
			c.Use = use + " SEQ | --all"
			c.Example += "\n  threads dead " + use + " --all --since 2h"
			c.Flags().BoolVar(&all, "all", false, "all of them, or those that --since and --type let pass (default: the one of SEQ)")
			filters(c)
		}
		return c
	}
	c := &cobra.Command{
		Use:     "dead",
		Short:   "List, show, requeue and drop what nobody could handle",
		Long:    "Messages that nobody could handle are set aside on the stream DEAD. Without a word: list." + whichDeployment,
		Example: "  threads dead\n  threads dead show 12\n  threads dead requeue 12\n  threads dead requeue --all --since 2h",
		Args:    deadWord,
		RunE:    list,
	}
	c.PersistentFlags().BoolVar(&asJSON, "json", false, "JSON (default: a table)")
	c.AddCommand(
		filters(&cobra.Command{Use: "list", Short: "Show what was set aside, the oldest first", Example: "  threads dead list --since 24h --json", Args: deadWord, RunE: list}),
		one("show", "Show one message whole", func(ctx context.Context, d *ops.Deployment, seq uint64) error { return d.ShowDead(ctx, seq) }, nil),
		one("requeue", "Give commands back to their stream, to be worked once more", func(ctx context.Context, d *ops.Deployment, seq uint64) error {
			return d.RequeueDead(ctx, seq, asJSON)
		}, func(ctx context.Context, d *ops.Deployment) error { return d.RequeueAllDead(ctx, f, asJSON) }),
		one("drop", "Take messages away for good, which need not be worked any more", func(ctx context.Context, d *ops.Deployment, seq uint64) error {
			return d.DropDead(ctx, seq, asJSON)
		}, func(ctx context.Context, d *ops.Deployment) error { return d.DropAllDead(ctx, f, asJSON) }),
	)
	return c
}

var errDeadWord = errors.New("dead takes list, show SEQ, requeue SEQ, or drop SEQ; requeue and drop take --all in its place")

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
