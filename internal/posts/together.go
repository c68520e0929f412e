package posts

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/pg"
)

// together is an update of the rows of many posts in one statement. It leaves out those that somebody else holds: nobody waits for
// them.
type together struct {
	ids  []string
	rows any    // a list with a column id, in the order of ids
	list string // its name in the statement
	// set is what the update sets, its conditions and what it returns.
	set func(*bun.UpdateQuery) *bun.UpdateQuery
	// tried are attempts of these posts; those of the posts that are moved are written in the same statement.
	tried []AttemptRow
}

// few is up to how many rows are locked first, without a try. It costs half of the update again, which for a few rows is less than
// the three statements that a try needs around it.
const few = 16

// updateRows makes the update, in a transaction where it takes more than one statement.
func (s *Store) updateRows(ctx context.Context, u together, dest ...any) error {
	if len(u.ids) <= few {
		return pg.Alone(func() error { return u.locked(ctx, s.DB, dest...) })
	}
	return pg.InTx(ctx, s.DB, func(ctx context.Context, tx bun.Tx) error { return u.in(ctx, tx, dest...) })
}

// in makes the update as a part of a transaction. Hardly ever is a row held, so many rows are not locked first, but where one is held
// for longer than heldFor.
func (u together) in(ctx context.Context, tx bun.Tx, dest ...any) error {
	if len(u.ids) <= few {
		return u.locked(ctx, tx, dest...)
	}
	for _, set := range []string{"SAVEPOINT rows", "SET LOCAL lock_timeout = '" + heldFor + "'"} {
		if _, err := tx.ExecContext(ctx, set); err != nil {
			return err
		}
	}
	err := u.moved(tx, u.update(tx, u.list)).Scan(ctx, dest...)
	if !pg.LockTimeout(err) {
		if err == nil {
			_, err = tx.ExecContext(ctx, "SET LOCAL lock_timeout = DEFAULT")
		}
		return err
	}
	if _, err := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT rows"); err != nil { // with the timeout
		return fmt.Errorf("leave out the rows that are held: %w", err)
	}
	return u.locked(ctx, tx, dest...)
}

// locked locks the rows first that nobody holds, and updates those.
func (u together) locked(ctx context.Context, db bun.IDB, dest ...any) error {
	free := db.NewSelect().Model((*Post)(nil)).Column("id").Where("id IN (?)", bun.List(u.ids)).For("UPDATE SKIP LOCKED")
	return u.moved(db, u.update(db, u.list+", free").Where("post.id = free.id"), cte{"free", free}).Scan(ctx, dest...)
}

func (u together) update(db bun.IDB, from string) *bun.UpdateQuery {
	return u.set(db.NewUpdate().Model((*Post)(nil)).TableExpr(from).Where("post.id = ?.id", bun.Ident(u.list)))
}

// cte is a query with its name.
type cte struct {
	name  string
	query bun.Query
}

// moved is the whole statement: what the update returns, and beside it the attempts.
func (u together) moved(db bun.IDB, update *bun.UpdateQuery, before ...cte) *bun.SelectQuery {
	q := db.NewSelect().With(u.list, db.NewValues(u.rows))
	for _, c := range before {
		q = q.With(c.name, c.query)
	}
	q = q.With("moved", update)
	if len(u.tried) > 0 {
		q = q.With("tried", db.NewValues(&u.tried).WithOrder()).With("added", db.NewRaw(`INSERT INTO post_attempts
			(post_id, at, phase, took_ms, ok, message, code, subcode, trace_id)
			SELECT post_id, at, phase, took_ms, ok, message, code, subcode, trace_id FROM tried JOIN moved ON moved.id = tried.post_id
			ORDER BY tried._order`))
	}
	return q.Table("moved")
}

// heldFor is how long an update waits for a row before that counts as held.
const heldFor = "20ms"
