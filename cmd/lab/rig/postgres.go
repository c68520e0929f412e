package rig

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/local"
)

func (s *System) startPostgres(ctx context.Context) (err error) {
	if s.o.DatabaseURL != "" {
		s.DatabaseURL = s.o.DatabaseURL
		return nil
	}
	if s.o.Breakable {
		if s.Proxy, err = openProxy(s.ctx); err != nil {
			return err
		}
		s.OnClose(s.Proxy.close)
	}
	if err := s.openPostgres(ctx); err != nil {
		return err
	}
	s.OnClose(func() {
		if s.postgres != nil { // it may not have come back from being started again
			_ = s.postgres.Close()
		}
	})
	if s.o.Counted {
		if err := s.countStatements(ctx); err != nil {
			return err
		}
	}
	s.DatabaseURL = s.postgres.URL()
	if s.Proxy != nil {
		u, err := url.Parse(s.postgres.URL())
		if err != nil {
			return fmt.Errorf("read the address of Postgres: %w", err)
		}
		u.Host = s.Proxy.addr()
		s.DatabaseURL = u.String()
	}
	return nil
}

// countStatements starts Postgres again with pg_stat_statements, where that is installed: Postgres reads the setting as it starts, and
// does not start when the library is missing.
func (s *System) countStatements(ctx context.Context) error {
	var there bool
	err := s.asAdmin(ctx, func(db *bun.DB) (err error) {
		if there, err = db.NewSelect().Table("pg_available_extensions").Where("name = 'pg_stat_statements'").Exists(ctx); err != nil || !there {
			return err
		}
		_, err = db.ExecContext(ctx, "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
		return err
	})
	if err != nil || !there {
		return err
	}
	if err := s.postgres.Close(); err != nil {
		return err
	}
	if err := s.openPostgres(ctx); err != nil {
		return err
	}
	return s.asAdmin(ctx, func(db *bun.DB) error {
		_, err := db.ExecContext(ctx, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
		return err
	})
}

func (s *System) asAdmin(ctx context.Context, do func(*bun.DB) error) error {
	db, err := pg.Open(ctx, pg.Config{URL: s.postgres.URL(), Application: s.o.Name, MaxConns: 1}, zap.NewNop())
	if err != nil {
		return err
	}
	return errors.Join(do(db), db.Close())
}

// Statements is how many statements Postgres has run so far, in all databases, begin and commit among them; -1 when it does not
// count them.
func (s *System) Statements(ctx context.Context) (n int64, err error) {
	var there bool
	if there, err = s.DB.NewSelect().Table("pg_extension").Where("extname = 'pg_stat_statements'").Exists(ctx); err != nil || !there {
		return -1, err
	}
	err = s.DB.NewRaw("SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements").Scan(ctx, &n)
	return n, err
}

func (s *System) openPostgres(ctx context.Context) (err error) {
	s.postgres, err = local.Start(ctx, local.Options{
		StateDir: filepath.Join(s.Dir, "postgres"), BinDir: os.Getenv("PG_BINDIR"), Repository: os.Getenv("PG_REPOSITORY"), Throwaway: s.o.Breakable,
	})
	if err != nil || s.Proxy == nil {
		return err
	}
	u, err := url.Parse(s.postgres.URL())
	if err != nil {
		return fmt.Errorf("read the address of Postgres: %w", err)
	}
	s.Proxy.forward(u.Host)
	return nil
}

// WithoutPostgres stops Postgres, lets some time pass and starts it again.
func (s *System) WithoutPostgres(ctx context.Context, d time.Duration) error {
	s.pgMu.Lock()
	defer s.pgMu.Unlock()
	s.Proxy.forward("")
	if err := s.postgres.Close(); err != nil {
		return fmt.Errorf("stop Postgres: %w", err)
	}
	clock.Sleep(ctx, d)
	return s.openPostgres(context.WithoutCancel(ctx))
}
