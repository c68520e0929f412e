package pg_test

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/migrations"
	"github.com/omni-write/threads/internal/pg/pgtest"
)

func TestMigrateTogether(t *testing.T) {
	t.Parallel()
	url := pgtest.EmptyURL(t)
	files, err := fs.Glob(migrations.FS, "*.up.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("embedded: %v, %v", files, err)
	}
	// Each a pool of one connection, as small as a pool can be.
	db := open(t, pg.Config{URL: url, MaxConns: 1})
	if pending, err := pg.Pending(t.Context(), db); err != nil || len(pending) != len(files) {
		t.Errorf("before: pending %v, %v", pending, err)
	}

	var mu sync.Mutex
	var applied []string
	var all sync.WaitGroup
	for range 5 {
		own := open(t, pg.Config{URL: url, MaxConns: 1})
		all.Go(func() {
			done, err := pg.Migrate(t.Context(), own, zap.NewNop())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			applied = append(applied, done...)
		})
	}
	all.Wait()

	want := make([]string, len(files))
	for i, f := range files {
		want[i] = strings.TrimSuffix(f, ".tx.up.sql")
	}
	if !slices.Equal(applied, want) {
		t.Errorf("applied %v, want each once and in order: %v", applied, want)
	}
	if pending, err := pg.Pending(t.Context(), db); err != nil || len(pending) != 0 {
		t.Errorf("after: pending %v, %v", pending, err)
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	file := func(sql string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(sql)} }
	first := fstest.MapFS{"1_first.tx.up.sql": file("CREATE TABLE first ()")}

	t.Run("a migration that fails leaves nothing and says which", func(t *testing.T) {
		t.Parallel()
		ctx := t.Context()
		db := open(t, pg.Config{URL: pgtest.EmptyURL(t)})
		broken := fstest.MapFS{
			"1_first.tx.up.sql":  first["1_first.tx.up.sql"],
			"2_second.tx.up.sql": file("CREATE TABLE second (); SELECT nonsense"),
		}
		applied, err := pg.MigrateFS(ctx, db, broken, zap.NewNop())
		if !slices.Equal(applied, []string{"1_first"}) || err == nil || !strings.Contains(err.Error(), "2: up: ") {
			t.Errorf("applied %v, %v", applied, err)
		}
		var half bool
		if err := db.QueryRowContext(ctx, "SELECT to_regclass('second') IS NOT NULL").Scan(&half); err != nil || half {
			t.Errorf("half a migration stayed: %v, %v", half, err)
		}
		if pending, err := pg.PendingFS(ctx, db, broken); err != nil || !slices.Equal(pending, []string{"2_second"}) {
			t.Errorf("pending %v, %v", pending, err)
		}
	})

	t.Run("a crash between a migration and bun's mark does not run it twice", func(t *testing.T) {
		t.Parallel()
		ctx := t.Context()
		db := open(t, pg.Config{URL: pgtest.EmptyURL(t)})
		if _, err := pg.MigrateFS(ctx, db, first, zap.NewNop()); err != nil {
			t.Fatal(err)
		}
		// bun's own mark, which comes after the commit, is an update here: let it fail.
		if _, err := db.ExecContext(ctx, `CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''crash''; END';
			CREATE TRIGGER crash BEFORE UPDATE ON bun_migrations FOR EACH ROW EXECUTE FUNCTION crash()`); err != nil {
			t.Fatal(err)
		}
		both := fstest.MapFS{
			"1_first.tx.up.sql":  first["1_first.tx.up.sql"],
			"2_second.tx.up.sql": file("CREATE TABLE second ()"),
		}
		if _, err := pg.MigrateFS(ctx, db, both, zap.NewNop()); err == nil {
			t.Fatal("it did not crash")
		}
		if applied, err := pg.MigrateFS(ctx, db, both, zap.NewNop()); err != nil || len(applied) != 0 {
			t.Errorf("applied again: %v, %v", applied, err)
		}
	})

	t.Run("a statement may take longer than in a service", func(t *testing.T) {
		t.Parallel()
		db := open(t, pg.Config{URL: pgtest.EmptyURL(t) + "&statement_timeout=100ms"})
		slow := fstest.MapFS{"1_slow.tx.up.sql": file("SELECT pg_sleep(0.2)")}
		if _, err := pg.MigrateFS(t.Context(), db, slow, zap.NewNop()); err != nil {
			t.Error(err)
		}
	})

	t.Run("an older program finds nothing pending in a newer schema", func(t *testing.T) {
		t.Parallel()
		db := open(t, pg.Config{URL: pgtest.EmptyURL(t)})
		newer := fstest.MapFS{"1_first.tx.up.sql": first["1_first.tx.up.sql"], "2_new.tx.up.sql": file("SELECT 1")}
		if _, err := pg.MigrateFS(t.Context(), db, newer, zap.NewNop()); err != nil {
			t.Fatal(err)
		}
		if pending, err := pg.PendingFS(t.Context(), db, first); err != nil || len(pending) != 0 {
			t.Errorf("pending %v, %v", pending, err)
		}
	})

	t.Run("waiting for another ends with ctx", func(t *testing.T) {
		t.Parallel()
		db := open(t, pg.Config{URL: pgtest.EmptyURL(t)})
		ctx, cancel := context.WithCancel(t.Context())
		waiting := fstest.MapFS{"1_wait.tx.up.sql": file("SELECT 1")}
		holder, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer holder.Close()
		if _, err := holder.ExecContext(t.Context(), "SELECT pg_advisory_lock(?)", int64(0x74687265616473)); err != nil {
			t.Fatal(err)
		}
		core, _ := observer.New(zap.InfoLevel)
		log := zap.New(core, zap.Hooks(func(zapcore.Entry) error { cancel(); return nil })) // it says that it waits
		if _, err := pg.MigrateFS(ctx, db, waiting, log); err == nil || ctx.Err() == nil {
			t.Errorf("got %v while another held the lock", err)
		}
	})
}
