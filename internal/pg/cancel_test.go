package pg_test

import (
	"context"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// A statement whose asker leaves ends at the server too.
func TestStatementEndsWithItsAsker(t *testing.T) {
	t.Parallel()
	url := pgtest.EmptyURL(t) + "&statement_timeout=0"
	db, watch := open(t, pg.Config{URL: url, Application: "asked"}), open(t, pg.Config{URL: url})
	working := func() (n int) {
		t.Helper()
		err := watch.NewRaw("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'asked' AND state = 'active'").Scan(t.Context(), &n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	until := func(want int) {
		t.Helper()
		for end := time.Now().Add(waiting.Limit); working() != want; {
			if time.Now().After(end) {
				t.Fatalf("%d statements are worked on, want %d", working(), want)
			}
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() {
		_, err := db.ExecContext(ctx, "SELECT pg_sleep(3600)")
		asked <- err
	}()
	until(1)
	leave()
	if err := <-asked; err == nil {
		t.Error("it ended well")
	}
	until(0)
}
