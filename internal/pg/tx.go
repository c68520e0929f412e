package pg

import (
	"context"
	"database/sql"

	"github.com/uptrace/bun"
)

// deadlockTries is how often a transaction is run again after Postgres gave it up to end a deadlock.
const deadlockTries = 3

// InTx runs fn in a read-committed transaction: committed when fn returns nil, rolled back when it returns an error or
// panics. The error comes back as it is. Functions below the outermost caller take a bun.IDB and open none of their own.
// fn runs again when its transaction fell to a deadlock, so what it leaves outside of the database it sets anew each time.
func InTx(ctx context.Context, db *bun.DB, fn func(ctx context.Context, tx bun.Tx) error) (err error) {
	for range deadlockTries {
		err = db.RunInTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}, fn)
		if sqlState(err) != "40P01" {
			return err
		}
	}
	return err
}
