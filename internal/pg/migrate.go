package pg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/migrate"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/pg/migrations"
	"github.com/omni-write/threads/internal/progress"
)

// migrationLock is the key of the advisory lock under which a database is migrated. Any constant does, as long as every
// release uses this one.
const migrationLock = 0x74687265616473 // "threads"

// Migrate brings the schema up to date and returns the names of the migrations it applied. Any number of processes may
// call it at once: they take turns, and a crash of one frees the next.
func Migrate(ctx context.Context, db *bun.DB, log *zap.Logger) (applied []string, err error) {
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer stop()
	if progress.Shown(ctx) {
		watch.Go(func() { showMigration(watching, db) })
	}
	return migrateFS(ctx, db, migrations.FS, log)
}

// Pending returns the names of the migrations that the database lacks, without changing it. A schema that is ahead of
// this release is fine: nothing is pending.
func Pending(ctx context.Context, db *bun.DB) ([]string, error) {
	return pendingFS(ctx, db, migrations.FS)
}

func migrateFS(ctx context.Context, db *bun.DB, files fs.FS, log *zap.Logger) ([]string, error) {
	pool, err := migrationPool(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	defer pool.Close()

	if err := connect(ctx, pool, log); err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	lock, err := pool.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	defer lock.Close() // the pool closes right after, and the lock goes with its session
	// The second connection is made before the lock is taken: nobody waits for one who waits.
	if err := connect(ctx, pool, log); err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	if err := awaitLock(ctx, lock, log); err != nil {
		return nil, fmt.Errorf("migrate: wait for the lock: %w", err)
	}

	m, err := migrator(pool, files)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	if err := m.Init(ctx); err != nil {
		return nil, fmt.Errorf("migrate: create bun's tables: %w", err)
	}
	start := time.Now()
	group, err := m.Migrate(ctx)
	done := names(group.Migrations)
	if err != nil {
		if len(done) > 0 {
			done = done[:len(done)-1] // bun counts the one that failed
		}
		return done, fmt.Errorf("migrate: %w", err)
	}
	if len(done) > 0 {
		log.Info("schema migrated", zap.Strings("applied", done), zap.Duration("took", time.Since(start)))
	}
	return done, nil
}

func pendingFS(ctx context.Context, db *bun.DB, files fs.FS) ([]string, error) {
	m, err := migrator(db.DB, files)
	if err != nil {
		return nil, fmt.Errorf("look for pending migrations: %w", err)
	}
	all, err := m.MigrationsWithStatus(ctx)
	if sqlState(err) == "42P01" { // no such table: nobody ever migrated this database
		registered, err := discover(files)
		if err != nil {
			return nil, fmt.Errorf("look for pending migrations: %w", err)
		}
		return names(registered.Sorted()), nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for pending migrations: %w", err)
	}
	return names(all.Unapplied()), nil
}

// migrationPool opens two connections to db's database: one for the lock, one for the work. They are not taken from
// db's own pool, because that may have none to spare, and because a migration may take longer than a statement of a
// service is allowed to.
func migrationPool(ctx context.Context, db *bun.DB) (*sql.DB, error) {
	conn, err := db.DB.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var conf *pgx.ConnConfig
	if err := conn.Raw(func(c any) error {
		pgxConn, ok := c.(*stdlib.Conn)
		if !ok {
			return errors.New("the database was not opened by pg.Open")
		}
		conf = pgxConn.Conn().Config()
		return nil
	}); err != nil {
		return nil, err
	}
	conf.DialFunc = dialer("0")
	conf.RuntimeParams["statement_timeout"] = "0" // lock_timeout stays: better to fail than to queue all others behind us
	pool := stdlib.OpenDB(*conf)
	pool.SetMaxOpenConns(2)
	return pool, nil
}

// awaitLock asks again and again instead of sleeping inside pg_advisory_lock: a statement that waits holds a snapshot,
// and CREATE INDEX CONCURRENTLY in the migration it waits for would in turn wait for that snapshot, for ever.
func awaitLock(ctx context.Context, conn *sql.Conn, log *zap.Logger) error {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for told := false; ; told = true {
		var got bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(migrationLock)).Scan(&got); err != nil {
			return err
		}
		if got {
			return nil
		}
		if !told {
			log.Info("another process is migrating this database, waiting for it")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
}

// migrator works on a bun.DB of its own: bun remembers the models it has seen, and a migration must not depend on
// today's.
func migrator(pool *sql.DB, files fs.FS) (*migrate.Migrator, error) {
	registered, err := discover(files)
	if err != nil {
		return nil, err
	}
	return migrate.NewMigrator(bun.NewDB(pool, pgdialect.New()), registered,
		migrate.WithMarkAppliedOnSuccess(true),
		// bun marks a migration after its transaction has committed: a crash in between would run it twice. So it is
		// marked inside that transaction as well, and bun's own mark becomes an upsert that changes nothing.
		migrate.AfterMigration(markApplied),
		migrate.WithUpsert(true),
	), nil
}

func markApplied(ctx context.Context, tx bun.IConn, m *migrate.Migration) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO bun_migrations (name, group_id) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
		m.Name, m.GroupID)
	return err
}

func discover(files fs.FS) (*migrate.Migrations, error) {
	registered := migrate.NewMigrations()
	return registered, registered.Discover(files)
}

// names returns <digits>_<name>, as the files are called; bun's table has only the digits.
func names(ms migrate.MigrationSlice) []string {
	list := make([]string, len(ms))
	for i, m := range ms {
		list[i] = m.String()
	}
	return list
}
