package boot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/uptrace/bun"
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
	if err := giveRights(ctx, db, common.DatabaseRoles); err != nil {
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

// giveRights makes the services' roles where their passwords are given, and gives those that are there what they need.
func giveRights(ctx context.Context, db *bun.DB, dir string) error {
	if dir != "" {
		passwords := map[string]string{}
		for _, service := range pg.Roles() {
			content, err := os.ReadFile(filepath.Join(dir, "postgres_password_"+service))
			if err != nil {
				return fmt.Errorf("DATABASE_ROLES_DIR: %w", err)
			}
			passwords[service] = strings.TrimSpace(string(content))
		}
		if err := pg.MakeRoles(ctx, db, passwords); err != nil {
			return err
		}
	}
	return pg.Grant(ctx, db)
}
