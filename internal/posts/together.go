package posts

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/pg"
)

// updateRows updates the rows of many posts in one statement, and leaves out those that somebody else holds: nobody waits for
// them. build makes the statement; its list of values has the name that is given, with the ids of the posts in its column id.
//
// Hardly ever is a row held, and locking the rows first costs as much as half of the update. So it is tried without, and only
// where a row is held for longer than heldFor they are locked first.
func updateRows(ctx context.Context, tx bun.Tx, ids []string, values string, build func(*bun.UpdateQuery) *bun.UpdateQuery, dest ...any) error {
	update := func(from string) *bun.UpdateQuery {
		return build(tx.NewUpdate().Model((*Post)(nil)).TableExpr(from).Where("post.id = ?.id", bun.Ident(values)))
	}
	for _, set := range []string{"SAVEPOINT rows", "SET LOCAL lock_timeout = '" + heldFor + "'"} {
		if _, err := tx.ExecContext(ctx, set); err != nil {
			return err
		}
	}
	err := update(values).Scan(ctx, dest...)
	if !pg.LockTimeout(err) {
		if err == nil {
			_, err = tx.ExecContext(ctx, "SET LOCAL lock_timeout = DEFAULT")
		}
		return err
	}
	if _, err := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT rows"); err != nil { // with the timeout
		return fmt.Errorf("leave out the rows that are held: %w", err)
	}
	free := tx.NewSelect().Model((*Post)(nil)).Column("id").Where("id IN (?)", bun.List(ids)).For("UPDATE SKIP LOCKED")
	return update(values+", free").With("free", free).Where("post.id = free.id").Scan(ctx, dest...)
}

// heldFor is how long an update waits for a row before that counts as held.
const heldFor = "20ms"
