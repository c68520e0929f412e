package cmd

import (
	"context"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/ops"
)

func newSecrets(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "secrets [DIRECTORY]",
		Short: "Make the files of secrets that compose.yaml wants",
		Long: `Makes the files of secrets that compose.yaml hands to the containers, in ./secrets or in the directory given: each that is not there
yet. What is there stays. Files that are made from others are written anew when those have changed.`,
		Example: "  threads secrets               in ./secrets",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.logged(c.Context(), "secrets", "", func(context.Context, boot.Common, *zap.Logger) error {
				return ops.Secrets(append(args, "secrets")[0], p.out)
			})
		},
	}
}
