// Package migrations holds the one history of the one schema, as SQL files that are frozen once released.
//
// A file is named <14 digits>_<name>.tx.up.sql and runs in a transaction. The program of the release before must still
// work on the new schema, because both run side by side while a release rolls out.
package migrations

import "embed"

// FS holds the SQL files.
//
//go:embed *.sql
var FS embed.FS
