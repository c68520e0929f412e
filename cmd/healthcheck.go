package cmd

import (
	"context"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/internal/process"
)

func newHealthcheck(p *program) *cobra.Command {
	return &cobra.Command{
		Use:     "healthcheck",
		Short:   "Ask the service in this container whether it is ready",
		Long:    "Asks the service at ADMIN_ADDR whether it is ready, for images that have no curl. Status 0 when it is.",
		Example: "  ADMIN_ADDR=127.0.0.1:9090 threads healthcheck",
		Args:    flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.logged(c.Context(), "healthcheck", "", func(ctx context.Context, common boot.Common, _ *zap.Logger) error {
				return process.HealthCheck(ctx, common.AdminAddr)
			})
		},
	}
}
