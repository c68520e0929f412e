package pg_test

import (
	"testing"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func open(t *testing.T, c pg.Config) *bun.DB {
	t.Helper()
	db, err := pg.Open(t.Context(), c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
