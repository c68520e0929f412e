package pg_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/uptrace/bun"
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

// A start may come while the server has no connection to give: those of the processes before it are not all gone yet.
func TestMigrateFindsTheServerFull(t *testing.T) {
	t.Parallel()
	for _, free := range []int{0, 1} {
		t.Run(fmt.Sprintf("%d of the two connections left", free), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			address := pgtest.EmptyURL(t)
			admin := open(t, pg.Config{URL: address, MaxConns: 1})
			one, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			role := "migrator_" + strings.TrimPrefix(one.Path, "/") // no superuser: those have no limit
			if _, err := admin.ExecContext(ctx, `CREATE ROLE ?0 LOGIN PASSWORD 'migrator' CONNECTION LIMIT 3;
				GRANT CREATE ON SCHEMA public TO ?0`, bun.Name(role)); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if _, err := admin.ExecContext(context.WithoutCancel(ctx), "DROP OWNED BY ?0; DROP ROLE ?0", bun.Name(role)); err != nil {
					t.Error(err)
				}
			})
			one.User = url.UserPassword(role, "migrator")
			db := open(t, pg.Config{URL: one.String(), MaxConns: 1})
			var others []*bun.DB
			for range 2 - free {
				others = append(others, open(t, pg.Config{URL: one.String(), MaxConns: 1}))
			}
			core, said := observer.New(zap.WarnLevel)
			log := zap.New(core, zap.Hooks(func(zapcore.Entry) error { // it says that it waits
				for _, other := range others {
					_ = other.Close()
				}
				return nil
			}))
			if _, err := pg.MigrateFS(ctx, db, fstest.MapFS{"1_one.tx.up.sql": {Data: []byte("SELECT 1")}}, log); err != nil {
				t.Error(err)
			}
			if said.Len() == 0 {
				t.Error("the server was not full: this test shows nothing")
			}
		})
	}
}

// While a release rolls out, the programs of the release before work on the new schema: a migration may add, and may not
// take away, rename, or forbid what they write. Indexes come and go: they forbid nothing, unless they are unique on a table
// that was there.
func TestMigrationsOnlyAdd(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(migrations.FS, "*.up.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("embedded: %v, %v", files, err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(migrations.FS, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, taken := range takenAway(string(text)) {
			if harmless[taken] == "" {
				t.Errorf("%s: %s", file, taken)
			}
		}
	}
	for _, statement := range []string{
		"DROP TABLE posts", "ALTER TABLE posts DROP COLUMN text", "ALTER TABLE posts\n  RENAME TO p", "ALTER TABLE posts ALTER COLUMN text SET NOT NULL",
		"ALTER TABLE posts ADD COLUMN n int NOT NULL", "ALTER TABLE posts ADD COLUMN a int, ADD COLUMN n int NOT NULL, ADD COLUMN z int DEFAULT 1",
		"ALTER TABLE posts ADD CONSTRAINT c CHECK (n > 1)", "CREATE UNIQUE INDEX i ON posts (n)", "DELETE FROM posts", "TRUNCATE posts", "UPDATE posts SET n = 1",
	} {
		if len(takenAway("-- words\n"+statement+";")) == 0 {
			t.Errorf("%q takes nothing away", statement)
		}
	}
}

// harmless are places that break no program all the same, with the reason.
var harmless = map[string]string{
	"CREATE UNIQUE INDEX posts_media ON posts": "no version makes two posts of ours of one at Threads",
	"BEFORE UPDATE":          "a trigger that sets doubt for the claims of the release before, which does not know the column",
	"UPDATE posts SET doubt": "a column that the release before does not know",
}

var (
	sqlComment = regexp.MustCompile(`--[^\n]*`)
	sqlTakes   = regexp.MustCompile(`\b(DROP (TABLE|COLUMN|CONSTRAINT|TYPE)|RENAME|ALTER COLUMN|ALTER TYPE|ADD CONSTRAINT|TRUNCATE|DELETE FROM|(?:BEFORE )?UPDATE(?: \S+ SET \w+)?)\b`)
	sqlColumn  = regexp.MustCompile(`\bADD COLUMN [^,;]*`)
	sqlUnique  = regexp.MustCompile(`\bCREATE UNIQUE INDEX \S+ ON (\S+)`)
)

// takenAway are the places of a migration that may break a program of the release before.
func takenAway(text string) (places []string) {
	text = sqlComment.ReplaceAllString(text, "")
	for _, statement := range strings.Split(text, ";") {
		statement = strings.Join(strings.Fields(statement), " ")
		places = append(places, sqlTakes.FindAllString(statement, -1)...)
		for _, column := range sqlColumn.FindAllString(statement, -1) {
			if strings.Contains(column, "NOT NULL") && !strings.Contains(column, "DEFAULT") {
				places = append(places, column)
			}
		}
		if m := sqlUnique.FindStringSubmatch(statement); m != nil && !strings.Contains(text, "CREATE TABLE "+m[1]+" ") {
			places = append(places, m[0])
		}
	}
	return places
}
