package boot

import (
	"context"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/process"
)

// Migrate brings Postgres and NATS to this version: tables, streams, durables, buckets. It may run at any time, and again.
func Migrate(ctx context.Context, getenv func(string) string, log *zap.Logger, opts ...nats.Option) error {
	common, err := process.Env[Common](getenv)
	if err != nil {
		return err
	}
	db, err := OpenDatabase(ctx, "migrate", common, log)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	applied, err := pg.Migrate(ctx, db, log)
	if err != nil {
		return err
	}
	b, err := Connect(ctx, "migrate", common, log, opts)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close(ctx) }()
	if err := bus.Declare(ctx, b, bus.Topology{Replicas: common.Replicas, EventsMaxAge: common.EventsMaxAge}); err != nil {
		return err
	}
	log.Info("database and streams are of this version", zap.Strings("migrations_applied", applied))
	return nil
}
