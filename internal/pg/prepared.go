package pg

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"
)

// bun writes values into its statements, so Postgres parses and plans each anew; for the update of a wide row by its key that costs
// more than the update. What is in this file and in rows.go is parsed and planned once on each connection. It is for the statements
// that every post goes through; everything else is bun's.

// fixedPlans are the settings of a connection whose plans stay (Config.ByKey). A plan is made once, without its values: one that was
// made while a table was small must come to its rows by an index, too. Compiling a plan costs more than any of ours.
const fixedPlans = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off"

func setFixedPlans(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, fixedPlans)
	return err
}

// Prepared runs a statement with parameters, $1, $2 and so on. Its text must be the same each time.
func Prepared(ctx context.Context, db bun.IDB, text string, args []any, dest ...any) (err error) {
	pool, conn := under(db)
	state := stateOf(pool)
	ctx, end := state.observe(ctx, &bun.QueryEvent{DB: pool, QueryTemplate: text, Query: text, QueryArgs: args, StartTime: time.Now()})
	defer func() { end(err) }()
	mode := pgx.QueryExecModeCacheStatement
	if state.unprepared.Load() {
		mode = pgx.QueryExecModeExec
	}
	found, err := conn.QueryContext(ctx, text, append([]any{mode}, args...)...) //nolint:rowserrcheck // ScanRows does
	if err != nil {
		if notKept(err) {
			state.unprepared.Store(true)
		}
		return err
	}
	return pool.ScanRows(ctx, found, dest...) // and closes them
}

// notKept says that a session knows a statement that we have not prepared in it, or none that we have: a pooler hands sessions on, and does
// not put them back to what they were. From then on nothing is prepared in that pool.
func notKept(err error) bool {
	state := sqlState(err)
	return state == "42P05" || state == "26000" // duplicate_prepared_statement, invalid_sql_statement_name
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// under is the pool behind db, and what is under bun: there a question mark is a question mark.
func under(db bun.IDB) (*bun.DB, querier) {
	pool := db.NewSelect().DB()
	switch db := db.(type) {
	case *bun.DB:
		return pool, db.DB
	case bun.Tx:
		return pool, db.Tx
	case bun.Conn:
		return pool, db.Conn
	}
	panic(fmt.Sprintf("pg: no connection of %T", db))
}

// Read reads the rows of a model that have one of these ids, in the order of the ids: that is what tells the planner which index is
// meant while the table is so small that any would do.
func Read[T any](ctx context.Context, db bun.IDB, rows *[]T, ids []string) error {
	text := fmt.Sprint(db.NewSelect().Model((*T)(nil)).Where("id = ANY($1::text[])").Order("id"))
	return Prepared(ctx, db, text, []any{ids}, rows)
}

func parameter(n int) string { return "$" + strconv.Itoa(n) }
