package cmd

import (
	"context"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
)

func newMigrate(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring database and streams to this version",
		Long: `Brings Postgres (DATABASE_URL) and NATS (NATS_URL) to this version: tables, streams, durables, buckets. Run it before the services
of a new version start. It may run at any time, beside services of the version before, and again.`,
		Example: "  DATABASE_URL=postgres://threads@db/threads NATS_URL=nats://nats:4222 threads migrate",
		Args:    flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.logged(c.Context(), "migrate", "", func(ctx context.Context, _ boot.Common, log *zap.Logger) error {
				return boot.Migrate(ctx, p.getenv, log)
			})
		},
	}
}
