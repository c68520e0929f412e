package pg_test

import (
	"bytes"
	"testing"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/progress"
)

// Showing how far it is takes nothing from a migration, also where the pool has one connection, and ends with it.
func TestMigrateIsWatched(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	db := open(t, pg.Config{URL: pgtest.EmptyURL(t), MaxConns: 1})
	applied, err := pg.Migrate(progress.To(t.Context(), &out), db, zap.NewNop())
	if err != nil || len(applied) == 0 {
		t.Fatalf("applied %v, %v", applied, err)
	}
	if done, total, err := pg.IndexProgress(t.Context(), db); err != nil || done != 0 || total != 0 {
		t.Errorf("an index that nobody builds: %d of %d, %v", done, total, err)
	}
}
