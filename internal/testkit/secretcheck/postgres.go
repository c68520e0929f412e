package secretcheck

import (
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"
)

// Postgres is every row of every table as text, by table. Columns of bytes are in hex, as Postgres writes them.
func Postgres(ctx context.Context, db bun.IDB) (Places, error) {
	var tables []struct{ Schema, Name string }
	err := db.NewRaw(`SELECT table_schema AS schema, table_name AS name FROM information_schema.tables
		WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`).Scan(ctx, &tables)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	all := Places{}
	for _, t := range tables {
		var rows []string
		if err := db.NewRaw("SELECT row_to_json(t)::text FROM ?.? t", bun.Ident(t.Schema), bun.Ident(t.Name)).Scan(ctx, &rows); err != nil {
			return nil, fmt.Errorf("dump %s: %w", t.Name, err)
		}
		all["table "+t.Name] = strings.Join(rows, "\n")
	}
	return all, nil
}
