package boot

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/pg"
)

func OpenDatabase(ctx context.Context, name string, c Common, log *zap.Logger) (*bun.DB, error) {
	return openPool(ctx, c, pg.Config{Application: "threads-" + name, MaxConns: c.DatabaseConns}, log)
}

// openPool opens a pool on the database that the settings name.
func openPool(ctx context.Context, c Common, pool pg.Config, log *zap.Logger) (*bun.DB, error) {
	if c.DatabaseURL == "" {
		return nil, fmt.Errorf("DATABASE_URL is required: postgres://user:password@host:5432/name")
	}
	address, err := withPassword(c.DatabaseURL, c.DatabasePassword)
	if err != nil {
		return nil, err
	}
	pool.URL = address
	return pg.Open(ctx, pool, log)
}

// withPassword puts a password into a database's URL that has none.
func withPassword(address, password string) (string, error) {
	if password == "" {
		return address, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("DATABASE_URL is not an address: postgres://user@host:5432/name") // the error would show it
	}
	if u.User == nil || u.User.Username() == "" {
		return "", errors.New("DATABASE_URL names no user, whom DATABASE_PASSWORD could belong to: postgres://user@host:5432/name")
	}
	if _, has := u.User.Password(); has {
		return "", errors.New("DATABASE_URL has a password, and DATABASE_PASSWORD is set too; set one")
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String(), nil
}
