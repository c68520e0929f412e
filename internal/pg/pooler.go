package pg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// ErrPooler means that what answers is not Postgres but a pooler that gives each transaction another session.
var ErrPooler = errors.New("a pooler that gives each transaction another session answers here (PgBouncer with pool_mode=transaction, " +
	"Supabase's port 6543), so the locks and time limits of our sessions would not hold; use the address of Postgres itself, or of a pooler " +
	"in session mode (Supabase: port 5432)")

// refusePooler says whether sessions end with their transactions. A pooler in between does not know the server's process ids:
// only where those are wrong is it tried out what becomes of a session.
func refusePooler(ctx context.Context, pool *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	first, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer first.Close()
	was, between, err := backend(ctx, first)
	if err != nil || !between {
		return err
	}
	// In a pool of sessions, first's is taken. In one of transactions it is free now, and others get it; once they have it, first
	// gets another.
	for range MinConns - 1 {
		other, err := pool.Conn(ctx)
		if err != nil {
			return err
		}
		defer other.Close()
		if _, err := other.ExecContext(ctx, "BEGIN"); err != nil {
			return err
		}
		defer func() { _, _ = other.ExecContext(ctx, "ROLLBACK") }()
		its, _, err := backend(ctx, other)
		if err != nil {
			return err
		}
		is, _, err := backend(ctx, first)
		if err != nil {
			return err
		}
		if its == was || is != was {
			return ErrPooler
		}
	}
	return nil
}

// backend is the process that serves a connection, and whether it is another than the one that was told when it began.
func backend(ctx context.Context, conn *sql.Conn) (pid uint32, between bool, err error) {
	if err := conn.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return 0, false, err
	}
	err = conn.Raw(func(c any) error {
		pgxConn, ok := c.(*stdlib.Conn)
		if !ok {
			return errors.New("the database was not opened by pg.Open")
		}
		between = pgxConn.Conn().PgConn().PID() != pid
		return nil
	})
	return pid, between, err
}

// explained says what the refusal of a session's settings means: Postgres knows all of ours, and poolers do not.
func explained(err error) error {
	refused := new(pgconn.PgError)
	if errors.As(err, &refused) && strings.Contains(refused.Message, "unsupported startup parameter") {
		return fmt.Errorf("a pooler answers here that does not pass on the settings of a session; use the address of Postgres itself, or have a "+
			"pooler in session mode pass them on: %w", err)
	}
	return err
}
