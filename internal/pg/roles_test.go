package pg_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
)

func TestEachServiceHasARoleWithWhatItNeeds(t *testing.T) {
	t.Parallel()
	address := pgtest.URL(t)
	owner, err := pg.Open(t.Context(), pg.Config{URL: address}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = owner.Close() })
	passwords := map[string]string{}
	for _, service := range pg.Roles() {
		passwords[service] = "the password of " + service
	}
	for range 2 { // it may run again
		if err := pg.MakeRoles(t.Context(), owner, passwords); err != nil {
			t.Fatal(err)
		}
		if err := pg.Grant(t.Context(), owner); err != nil {
			t.Fatal(err)
		}
	}
	for service, may := range map[string]map[string]bool{
		"auth": {
			"SELECT 1 FROM social_connections": true, "DELETE FROM oauth_grants": true, "DELETE FROM erasures": true, "SELECT 1 FROM posts": true, "UPDATE posts SET rev = rev": true,
			"DELETE FROM posts": false, "SELECT 1 FROM webhook_endpoints": false, "SELECT 1 FROM insight_snapshots": false, "SELECT 1 FROM skipped_events": false,
		},
		"tokenkeeper": {
			"SELECT 1 FROM social_connections": true, "SELECT 1 FROM webhook_endpoints": true, "DELETE FROM webhook_endpoints": false,
			"DELETE FROM posts": false, "SELECT 1 FROM oauth_grants": false, "SELECT 1 FROM webhooks_heard": false, "DELETE FROM erased_accounts": false,
		},
		"publisher": {"DELETE FROM posts": true, "SELECT 1 FROM insight_snapshots": true, "DELETE FROM skipped_events": true},
		"ops":       {"DELETE FROM posts": true, "UPDATE skipped_events SET why = why": true},
	} {
		may["SELECT 1 FROM bun_migrations"] = true
		for _, never := range []string{
			"DELETE FROM bun_migrations", "CREATE TABLE mine ()", "DROP TABLE posts", "ALTER TABLE posts ADD COLUMN mine int", "TRUNCATE posts",
			"CREATE ROLE mine", "ALTER ROLE " + pg.RolePrefix + service + " SUPERUSER", "SELECT pg_read_file('postgresql.conf')",
			"SELECT passwd FROM pg_shadow", "COPY posts TO PROGRAM 'true'",
		} {
			may[never] = false
		}
		if service == "ops" {
			may["CREATE TABLE mine ()"] = true // `rebuild` makes a table beside posts, which nobody else needs
		}
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(pg.RolePrefix+service, passwords[service])
		db, err := pg.Open(t.Context(), pg.Config{URL: u.String()}, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if pending, err := pg.Pending(t.Context(), db); err != nil || len(pending) > 0 {
			t.Errorf("%s: %v, %v", service, pending, err)
		}
		for statement, want := range may {
			err := tried(t.Context(), db.DB, statement)
			if refused := err != nil && (strings.Contains(err.Error(), "42501") || strings.Contains(err.Error(), "permission denied")); err != nil && !refused || refused == want {
				t.Errorf("%s: %s: %v", service, statement, err)
			}
		}
	}
}

// tried does a statement and takes it back.
func tried(ctx context.Context, db *sql.DB, statement string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%w", err)
	}
	return nil
}
