package pg_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// Under a ctx that carries a transaction the pool gives no connection, new or used, however it is asked.
func TestStrict(t *testing.T) {
	t.Parallel()
	asks := map[string]func(context.Context, *bun.DB) error{
		"a statement":            func(ctx context.Context, db *bun.DB) error { _, err := db.ExecContext(ctx, "SELECT 1"); return err },
		"a query":                func(ctx context.Context, db *bun.DB) error { var n int; return db.NewRaw("SELECT 1").Scan(ctx, &n) },
		"a connection":           func(ctx context.Context, db *bun.DB) error { _, err := db.Conn(ctx); return err },
		"a transaction":          func(ctx context.Context, db *bun.DB) error { return pg.InTx(ctx, db, nil) },
		"a transaction of bun's": func(ctx context.Context, db *bun.DB) error { _, err := db.BeginTx(ctx, nil); return err },
	}
	for name, ask := range asks {
		for _, used := range []bool{false, true} {
			ctx, cancel := context.WithTimeout(t.Context(), waiting.Limit)
			defer cancel()
			db := open(t, pg.Config{URL: pgtest.EmptyURL(t), MaxConns: 2}) // the connection that was asked for is lost with the panic
			if used {
				idle, err := db.Conn(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := db.ExecContext(ctx, "SELECT 1"); err != nil {
					t.Fatal(err)
				}
				if err := idle.Close(); err != nil {
					t.Fatal(err)
				}
			}
			err := pg.InTx(ctx, db, func(ctx context.Context, _ bun.Tx) (err error) {
				defer func() {
					if recover() == nil {
						t.Errorf("%s was had inside a transaction: %v (used: %t)", name, err, used)
					}
				}()
				return ask(ctx, db)
			})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// What a transaction itself is asked for is no second connection, and neither is a transaction in it.
func TestStrictLetsTheTransactionWork(t *testing.T) {
	t.Parallel()
	db := open(t, pg.Config{URL: pgtest.EmptyURL(t), MaxConns: 1})
	var n int
	err := pg.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error {
		return pg.InTx(ctx, tx, func(ctx context.Context, tx bun.Tx) error { return tx.NewRaw("SELECT 1").Scan(ctx, &n) })
	})
	if err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := t.Context()
	if err := pg.InTx(ctx, conn, func(ctx context.Context, tx bun.Tx) error { return tx.NewRaw("SELECT 2").Scan(ctx, &n) }); err != nil || n != 2 {
		t.Errorf("%d, %v", n, err)
	}
}

// The ctx of a transaction carries it only where InTx made it: nobody begins one past it. What reads the original's database
// has a pool of its own there, and torture holds a lock on purpose.
func TestTransactionsBeginHere(t *testing.T) {
	t.Parallel()
	const repository = "../.."
	mayBegin := map[string]bool{
		"internal/pg/tx.go": true, "cmd/ops/original/source.go": true, "cmd/lab/torture/lockedaccount.go": true,
	}
	seen := 0
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		seen++
		name, err := filepath.Rel(repository, path)
		if err != nil || mayBegin[filepath.ToSlash(name)] {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, past := range []string{".RunInTx(", ".BeginTx("} {
			if strings.Contains(string(text), past) {
				return errors.New(name + " begins a transaction with " + past + "…); use pg.InTx")
			}
		}
		return nil
	})
	if err != nil || seen < 100 {
		t.Errorf("%d files: %v", seen, err)
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	for conns, want := range map[int]int{pg.MinConns: 1, 4: 2, 8: 5, 16: 11, 100: 64} {
		db := open(t, pg.Config{URL: pgtest.EmptyURL(t), MaxConns: conns})
		if got := pg.Slots(db, 64); got != want || got >= conns {
			t.Errorf("of %d connections %d, want %d", conns, got, want)
		}
	}
}
