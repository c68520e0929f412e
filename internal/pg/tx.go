package pg

import (
	"context"
	"database/sql"

	"github.com/uptrace/bun"
)

// InTx runs fn in a read-committed transaction: committed when fn returns nil, rolled back when it returns an error or
// panics. The error comes back as it is. Functions below the outermost caller take a bun.IDB and open none of their own.
func InTx(ctx context.Context, db *bun.DB, fn func(ctx context.Context, tx bun.Tx) error) error {
	return db.RunInTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}, fn)
}
