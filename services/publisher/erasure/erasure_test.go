package erasure

import (
	"slices"
	"testing"

	"github.com/omni-write/threads/internal/pg/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// A table that names accounts and is forgotten by the erasure would keep what was promised to be gone.
func TestEraseKnowsEveryTable(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var tables []string
	err := db.NewRaw("SELECT table_name FROM information_schema.columns WHERE column_name = 'account_id' AND table_schema = current_schema()").
		Scan(t.Context(), &tables)
	if err != nil {
		t.Fatal(err)
	}
	known := append([]string{
		"posts",             // by erasePosts
		"erased_accounts",   // the tombstones
		"oauth_grants",      // minutes old, and withdrawn by auth before it puts the tombstone
		"webhook_endpoints", // our own id as a filter, and the address is its owner's
	}, accountTables...)
	for _, table := range tables {
		if !slices.Contains(known, table) {
			t.Errorf("the table %s has accounts and is not erased; see eraseRows", table)
		}
	}
	if len(tables) < len(accountTables) {
		t.Errorf("there are only %v", tables)
	}
}
