package posts

import (
	"context"
	"fmt"
	"reflect"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/pg"
)

// together is an update of the rows of many posts in one statement. It leaves out those that somebody else holds: nobody waits for
// them.
type together struct {
	rows any    // a list, whose first column is id
	list string // its name in the statement
	// set is what the update sets, its conditions and what it returns. It writes no value that is another the next time: the statement
	// is prepared, so such a value is a column of the list. So is a state that the row must have: for one that it knows, the planner
	// would take an index of that state.
	set func(*bun.UpdateQuery) *bun.UpdateQuery
	// tried are attempts of these posts; those of the posts that are moved are written in the same statement.
	tried []AttemptRow
}

// few is up to how many rows are locked first, without a try. It costs half of the update again, which for a few rows is less than
// the three statements that a try needs around it.
const few = 16

// updateRows makes the update, in a transaction where it takes more than one statement.
func updateRows(ctx context.Context, db *bun.DB, u together, dest any) error {
	if u.n() <= few {
		return pg.Alone(func() error { return u.run(ctx, db, true, dest) })
	}
	return pg.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error { return u.in(ctx, tx, dest) })
}

// in makes the update as a part of a transaction. Hardly ever is a row held, so many rows are not locked first, but where one is held
// for longer than heldFor.
func (u together) in(ctx context.Context, tx bun.Tx, dest any) error {
	if u.n() <= few {
		return u.run(ctx, tx, true, dest)
	}
	for _, set := range []string{"SAVEPOINT rows", "SET LOCAL lock_timeout = '" + heldFor + "'"} {
		if _, err := tx.ExecContext(ctx, set); err != nil {
			return err
		}
	}
	err := u.run(ctx, tx, false, dest)
	if !pg.LockTimeout(err) {
		if err == nil {
			_, err = tx.ExecContext(ctx, "SET LOCAL lock_timeout = DEFAULT")
		}
		return err
	}
	if _, err := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT rows"); err != nil { // with the timeout
		return fmt.Errorf("leave out the rows that are held: %w", err)
	}
	return u.run(ctx, tx, true, dest)
}

func (u together) n() int { return reflect.ValueOf(u.rows).Elem().Len() }

// run makes the statement. With lock it locks the rows first that nobody holds, and updates those. Its plan stays, so it must be one for
// any table: the rows are found by their keys and in their order, which no other index has however small the table is, and updated
// where they were found.
func (u together) run(ctx context.Context, db bun.IDB, lock bool, dest any) error {
	rows, err := pg.NewRows(db, 1, u.rows)
	if err != nil {
		return err
	}
	args := rows.Args
	free := db.NewSelect().Model((*Post)(nil)).ColumnExpr("post.id, post.ctid AS place").Where("id = ANY($1)").Order("id")
	if lock {
		free = free.For("UPDATE SKIP LOCKED")
	}
	update := db.NewUpdate().Model((*Post)(nil)).TableExpr("?, free", bun.Ident(u.list)).
		Where("?.id = free.id", bun.Ident(u.list)).Where("post.ctid = free.place")
	q := db.NewSelect().With(u.list, db.NewRaw(rows.From)).With("free", free).With("moved", u.set(update)).Table("moved")
	if len(u.tried) > 0 {
		tried, err := pg.NewRows(db, len(args)+1, &u.tried)
		if err != nil {
			return err
		}
		args = append(args, tried.Args...)
		q = q.With("tried", db.NewRaw(tried.From)).With("added", db.NewRaw(`INSERT INTO post_attempts
			(post_id, at, phase, took_ms, ok, message, code, subcode, trace_id)
			SELECT post_id, at, phase, took_ms, ok, message, code, subcode, trace_id FROM tried JOIN moved ON moved.id = tried.post_id
			ORDER BY tried._order`))
	}
	return pg.Prepared(ctx, db, fmt.Sprint(q), args, dest)
}

// heldFor is how long an update waits for a row before that counts as held.
const heldFor = "20ms"
