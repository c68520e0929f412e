package pg_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
)

func TestMap(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := open(t, pg.Config{URL: pgtest.EmptyURL(t)})
	if _, err := db.ExecContext(ctx, `CREATE TABLE t (id int CONSTRAINT t_one_id UNIQUE, n int CONSTRAINT t_small CHECK (n < 5));
		INSERT INTO t VALUES (1, 1)`); err != nil {
		t.Fatal(err)
	}

	var id int
	err := pg.Map(db.NewSelect().Table("t").Column("id").Where("id = 7").Scan(ctx, &id))
	if !errors.Is(err, pg.ErrNotFound) || !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("no rows: %v", err)
	}
	_, err = db.ExecContext(ctx, "INSERT INTO t VALUES (1, 2)")
	err = fmt.Errorf("twice: %w", pg.Map(fmt.Errorf("insert: %w", err)))
	if !errors.Is(err, pg.ErrExists) || pg.Constraint(err) != "t_one_id" {
		t.Errorf("unique violation: %v, constraint %q", err, pg.Constraint(err))
	}
	if again := pg.Map(err); again != err {
		t.Errorf("mapped twice: %v", again)
	}
	_, err = db.ExecContext(ctx, "INSERT INTO t VALUES (2, 9)")
	if mapped := pg.Map(err); mapped != err || pg.Constraint(err) != "t_small" {
		t.Errorf("check violation: %v, constraint %q", mapped, pg.Constraint(err))
	}
	if pg.Map(nil) != nil || pg.Constraint(nil) != "" {
		t.Error("nil is not nil")
	}
}

func TestUnfit(t *testing.T) {
	t.Parallel()
	db := open(t, pg.Config{URL: pgtest.EmptyURL(t)})
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL CHECK (n < 5), j jsonb)"); err != nil {
		t.Fatal(err)
	}
	for statement, want := range map[string]bool{
		"INSERT INTO t VALUES (1, 9)": true, "INSERT INTO t VALUES (1, NULL)": true, "INSERT INTO t VALUES (1, 99999999999)": true,
		`INSERT INTO t VALUES (1, 1, '"\u0000"')`: true, "INSERT INTO t VALUES (1, 1), (1, 2)": false, "INSERT INTO u VALUES (1)": false,
	} {
		_, err := db.ExecContext(t.Context(), statement)
		if err == nil || pg.Unfit(fmt.Errorf("write: %w", err)) != want {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if pg.Unfit(nil) || pg.Unfit(context.Canceled) {
		t.Error("these say nothing about a value")
	}
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"57P01": true, "57P02": true, "57P03": true, "53100": true, "53300": true, "08006": true,
		"57014": false, "23505": false, "40001": false, "28P01": false,
	} {
		if got := pg.Unavailable(fmt.Errorf("claim: %w", &pgconn.PgError{Code: code})); got != want {
			t.Errorf("%s: %v", code, got)
		}
	}
	if pg.Unavailable(nil) || pg.Unavailable(context.Canceled) || pg.Unavailable(sql.ErrNoRows) {
		t.Error("these say nothing about Postgres")
	}

	t.Run("a session that was cut", func(t *testing.T) {
		ctx := t.Context()
		db := open(t, pg.Config{URL: pgtest.EmptyURL(t)})
		victim, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer victim.Close()
		var pid int
		if err := victim.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(ctx, "SELECT pg_terminate_backend(?, 10000)", pid); err != nil {
			t.Fatal(err)
		}
		if _, err = victim.ExecContext(ctx, "SELECT 1"); !pg.Unavailable(err) {
			t.Errorf("%v does not count as unavailable", err)
		}
	})
}

// What was refused changed nothing; of a commit whose answer is lost nobody knows.
func TestRefused(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := open(t, pg.Config{URL: pgtest.EmptyURL(t)})
	if _, err := db.ExecContext(ctx, `CREATE TABLE t (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, n int CHECK (n < 5));
		CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
		CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.id = 7) EXECUTE FUNCTION cut()`); err != nil {
		t.Fatal(err)
	}
	for statement, want := range map[string]bool{
		"INSERT INTO t VALUES (1, 9)":         true, // by the statement
		"INSERT INTO t VALUES (1, 1), (1, 2)": true, // by the commit
		"INSERT INTO t VALUES (7, 1)":         false,
	} {
		err := pg.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error { _, err := tx.ExecContext(ctx, statement); return err })
		if err == nil || pg.Refused(fmt.Errorf("write: %w", err)) != want {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if err := pg.InTx(ctx, db, func(context.Context, bun.Tx) error { return errors.New("no") }); !pg.Refused(err) {
		t.Error("what was never committed counts as unknown")
	}
	if pg.Refused(nil) || pg.Refused(context.DeadlineExceeded) {
		t.Error("these say nothing")
	}
}
