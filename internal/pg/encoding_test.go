package pg_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
)

// A cluster that was made in the locale C has databases in SQL_ASCII. What a person writes would not fit, and the driver
// speaks of "simple protocol queries" then.
func TestAnotherEncodingIsRefused(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(pgtest.EmptyURL(t))
	if err != nil {
		t.Fatal(err)
	}
	db, here := open(t, pg.Config{URL: u.String()}), u.Path[1:]
	for _, encoding := range []string{"SQL_ASCII", "LATIN1"} {
		name := here + "_" + strings.ToLower(encoding)
		if _, err := db.ExecContext(t.Context(), "CREATE DATABASE ? ENCODING ? LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0", bun.Ident(name), encoding); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := db.ExecContext(context.Background(), "DROP DATABASE ? WITH (FORCE)", bun.Ident(name)); err != nil {
				t.Error(err)
			}
		})
		u.Path = "/" + name
		_, err := pg.Open(t.Context(), pg.Config{URL: u.String()}, zap.NewNop())
		if !errors.Is(err, pg.ErrEncoding) || !strings.Contains(err.Error(), encoding) || !strings.Contains(err.Error(), "CREATE DATABASE") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", encoding, err)
		}
	}
}
