package pg_test

import (
	"context"
	"errors"
	"testing"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
)

func TestInTx(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := open(t, pg.Config{URL: pgtest.EmptyURL(t), MaxConns: 1}) // a transaction that is left open blocks the next
	if _, err := db.ExecContext(ctx, "CREATE TABLE t (v text)"); err != nil {
		t.Fatal(err)
	}
	insert := func(ctx context.Context, tx bun.Tx, v string) {
		if _, err := tx.ExecContext(ctx, "INSERT INTO t VALUES (?)", v); err != nil {
			t.Error(err)
		}
	}

	cause := errors.New("no")
	if err := pg.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error { insert(ctx, tx, "error"); return cause }); err != cause {
		t.Errorf("got %v, want the very error", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = pg.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error { insert(ctx, tx, "panic"); panic("no") })
	}()
	var isolation string
	if err := pg.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error {
		insert(ctx, tx, "kept")
		return tx.QueryRowContext(ctx, "SHOW transaction_isolation").Scan(&isolation)
	}); err != nil || isolation != "read committed" {
		t.Errorf("isolation %q, %v", isolation, err)
	}

	var left []string
	if err := db.NewSelect().Table("t").Column("v").Scan(ctx, &left); err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 || left[0] != "kept" {
		t.Errorf("the table holds %v", left)
	}
}
