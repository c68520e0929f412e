package pg

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
)

// deadlockTries is how often a transaction is run again after Postgres gave it up to end a deadlock.
const deadlockTries = 3

// InTx runs fn in a read-committed transaction: committed when fn returns nil, rolled back when it returns an error or
// panics. The error comes back as it is. Functions below the outermost caller take a bun.IDB and open none of their own.
// fn runs again when its transaction fell to a deadlock, so what it leaves outside of the database it sets anew each time.
//
// The ctx that fn gets carries the transaction. Under it nothing may ask the pool for a connection: as many transactions at
// once as the pool has connections would wait for one more for ever (Strict).
func InTx(ctx context.Context, db bun.IDB, fn func(ctx context.Context, tx bun.Tx) error) (err error) {
	for range deadlockTries {
		committing := false
		err = db.RunInTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}, func(ctx context.Context, tx bun.Tx) error {
			err := fn(context.WithValue(ctx, transaction{}, true), tx)
			committing = err == nil
			return err
		})
		if err != nil && committing {
			err = &commitError{err}
		}
		if sqlState(err) != "40P01" {
			return err
		}
	}
	return err
}

// Alone runs fn, which makes one statement and is in no transaction: the statement is its own. So an error of it is one of a commit,
// and it runs again when it fell to a deadlock.
func Alone(fn func() error) (err error) {
	for range deadlockTries {
		if err = fn(); err == nil {
			return nil
		}
		err = &commitError{err}
		if sqlState(err) != "40P01" {
			return err
		}
	}
	return err
}

// transaction is the key under which a ctx says that a transaction is open.
type transaction struct{}

// commitError is an error of the commit itself: where it is not Postgres' own word, nobody knows what became of it.
type commitError struct{ err error }

func (e *commitError) Error() string { return fmt.Sprintf("commit: %v", e.err) }
func (e *commitError) Unwrap() error { return e.err }

var strict atomic.Bool

// Strict makes asking a pool for a connection inside a transaction panic, in every pool of this process. Tests want it
// (pgtest turns it on): in production such a mistake is harmless until the pool is exhausted, and then it is for ever.
func Strict() { strict.Store(true) }

// guarded are the options of a pool that knows such a mistake: its two ways to give a connection are a new and a used one.
func guarded() []stdlib.OptionOpenDB {
	refuse := func(ctx context.Context) {
		if strict.Load() && ctx.Value(transaction{}) != nil {
			panic("pg: a connection of the pool is asked for inside a transaction; use the transaction, or do it before or after")
		}
	}
	return []stdlib.OptionOpenDB{
		stdlib.OptionBeforeConnect(func(ctx context.Context, _ *pgx.ConnConfig) error { refuse(ctx); return nil }),
		stdlib.OptionResetSession(func(ctx context.Context, _ *pgx.Conn) error { refuse(ctx); return nil }),
	}
}
