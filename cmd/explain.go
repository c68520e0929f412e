package cmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/omni-write/threads/cmd/ops"
)

func newExplain(p *program) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "explain POST",
		Short:   "Everything that is known of one post",
		Long:    "Everything that is known of a post, in the order in which it happened. POST is our id, Threads' media id, or the original's." + whichDeployment,
		Example: "  threads explain post_01…\n  threads explain 17841400000000000 --json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("explain takes the id of one post: ours, Threads' media id, or the original's")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), func(ctx context.Context, d *ops.Deployment) error { return d.Explain(ctx, args[0], asJSON) })
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "JSON (default: a table)")
	return c
}
