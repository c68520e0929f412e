package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/omni-write/threads/cmd/ops"
)

func newPause(p *program) *cobra.Command {
	var (
		reason string
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "pause ACCOUNT",
		Short: "Hold the posts of one account back",
		Long: `Holds an account's posts back. They are prepared, and none is published until ` + "`threads resume`" + `. How late a post may be goes on
counting: what waits for longer fails as missed. It returns when no call of its posts is on its way.` + whichDeployment,
		Example: "  threads pause --reason 'we look into it' acct_01…",
		Args:    oneAccount,
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), func(ctx context.Context, d *ops.Deployment) error { return d.Pause(ctx, args[0], reason, asJSON) })
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "one `line` for the account's owner: why")
	c.Flags().BoolVar(&asJSON, "json", false, "JSON (default: sentences)")
	return c
}

func newResume(p *program) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "resume ACCOUNT",
		Short:   "Let the posts of a paused account go out again",
		Long:    "Lets the posts of a paused account go out again; those that waited go at once." + whichDeployment,
		Example: "  threads resume acct_01…",
		Args:    oneAccount,
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), func(ctx context.Context, d *ops.Deployment) error { return d.Resume(ctx, args[0], asJSON) })
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "JSON (default: sentences)")
	return c
}

func oneAccount(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes the id of one account", c.Name())
	}
	return nil
}
