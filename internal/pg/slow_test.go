package pg_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

type note struct {
	ID   int64 `bun:",pk"`
	Text string
}

func TestSlowQueriesAreLoggedWithoutValues(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	core, logs := observer.New(zapcore.DebugLevel)
	db, err := pg.Open(ctx, pg.Config{URL: pgtest.EmptyURL(t)}, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// The trigger makes writes slow, too.
	if _, err := db.ExecContext(ctx, `CREATE TABLE notes (id bigint, text text);
		CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.25); RETURN NEW; END';
		CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION slow();
		CREATE FUNCTION raise_with(v text) RETURNS void LANGUAGE plpgsql AS
			'BEGIN PERFORM pg_sleep(0.25); RAISE EXCEPTION ''%'', v; END';`); err != nil {
		t.Fatal(err)
	}
	logs.TakeAll()

	const secret = "my-private-post"
	for _, c := range []struct {
		name string
		want string
		run  func() error
	}{
		{"insert", "INSERT INTO", func() error {
			_, err := db.NewInsert().Model(&note{ID: 1, Text: secret}).Exec(ctx)
			return err
		}},
		{"bulk insert", "INSERT INTO", func() error {
			_, err := db.NewInsert().Model(&[]note{{ID: 2, Text: secret}, {ID: 3, Text: secret}}).Exec(ctx)
			return err
		}},
		{"update", "UPDATE", func() error {
			_, err := db.NewUpdate().Model((*note)(nil)).Set("text = ?", secret).Where("id = ?", 1).Exec(ctx)
			return err
		}},
		{"update of a model", "UPDATE", func() error {
			_, err := db.NewUpdate().Model(&note{ID: 1, Text: secret}).WherePK().Exec(ctx)
			return err
		}},
		{"select", "text IN (?)", func() error {
			var found []note
			return db.NewSelect().Model(&found).Where("pg_sleep(0.25) IS NOT NULL AND text IN (?)", bun.List([]string{secret})).Scan(ctx)
		}},
		{"count", "count(*)", func() error {
			_, err := db.NewSelect().Model((*note)(nil)).Where("text = ?", secret).Where("(SELECT pg_sleep(0.25)) IS NOT NULL").Count(ctx)
			return err
		}},
		{"raw", "SELECT ?", func() error {
			var s string
			return db.NewRaw("SELECT ? FROM pg_sleep(0.25)", secret).Scan(ctx, &s)
		}},
		{"exec that fails", "raise_with(?)", func() error {
			if _, err := db.ExecContext(ctx, "SELECT raise_with(?)", secret); err == nil {
				return errors.New("it worked")
			}
			return nil
		}},
		{"in a transaction", "UPDATE", func() error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback() }()
			_, err = tx.ExecContext(ctx, "UPDATE notes SET text = ? WHERE id = 1", secret)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(); err != nil {
				t.Fatal(err)
			}
			told := 0
			for _, entry := range logs.TakeAll() { // a slow machine may add a line on a BEGIN
				line := fmt.Sprint(entry.Message, entry.ContextMap())
				if strings.Contains(line, secret) {
					t.Errorf("a value is in %s", line)
				}
				if strings.HasPrefix(line, "slow query") && strings.Contains(line, c.want) {
					told++
				}
			}
			if told != 1 {
				t.Errorf("logged %d lines on %q, want 1", told, c.want)
			}
		})
	}

	t.Run("a fast query is not", func(t *testing.T) {
		waiting.Until(t, "a query that is fast, and not logged", func() bool {
			start := time.Now()
			if _, err := db.ExecContext(ctx, "SELECT 1"); err != nil {
				t.Fatal(err)
			}
			fast, n := time.Since(start) < 100*time.Millisecond, len(logs.TakeAll())
			if fast && n != 0 {
				t.Errorf("%d lines logged", n)
			}
			return fast
		})
	})
}
