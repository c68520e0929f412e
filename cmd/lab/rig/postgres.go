package rig

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/omni-write/threads/internal/clock"
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
	s.OnClose(func() { _ = s.postgres.Close() })
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
