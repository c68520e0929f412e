package doctor

import (
	"context"
	"strings"
	"testing"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// Changes that wait while EVENTS takes others are a matter of time; where it takes nothing, it is what is wrong.
func TestEventsThatStoresNothingIsNamed(t *testing.T) {
	t.Parallel()
	db, b := pgtest.New(t), bustest.New(t)
	says := func() Finding {
		e := examination{db: db, streams: func(context.Context) (*bus.Bus, error) { return b, nil }}
		e.emitting(t.Context())
		if len(e.found) != 1 {
			t.Fatalf("it says %+v", e.found)
		}
		return e.found[0]
	}
	change := func(stmt string, args ...any) {
		t.Helper()
		if _, err := bun.IDB(db).ExecContext(t.Context(), stmt, args...); err != nil {
			t.Fatal(err)
		}
	}
	if f := says(); f.Level != Well {
		t.Errorf("with nothing to emit it says %+v", f)
	}
	change(`INSERT INTO posts (id, user_id, account_id, kind, text, content_hash, publish_at, publish_within, state, created_at, updated_at, rev, told_rev, fact)
		VALUES ('post_1', 'user_1', 'acct_1', 'post', 'waits', 'x', now(), 86400, 'scheduled', now(), '2026-11-30 09:00:00Z'::timestamptz - interval '1 year', 3, 2, 'scheduled')`)
	if f := says(); f.Level != Wrong || !strings.Contains(f.Says, "1 changes wait to be emitted, and EVENTS has stored nothing since 2025-11-30T09:00:00Z") {
		t.Errorf("with a change that waits, and nothing on EVENTS, it says %+v", f)
	}
	if err := b.Emit(t.Context(), events.NewAccountConnected(events.Connection{ID: "acct_1"})); err != nil {
		t.Fatal(err)
	}
	if f := says(); f.Level != Warning || !strings.Contains(f.Says, "the oldest since 2025-11-30T09:00:00Z") {
		t.Errorf("with a change that waits while EVENTS takes others it says %+v", f)
	}
	change("UPDATE posts SET told_rev = rev")
	if f := says(); f.Level != Well {
		t.Errorf("with all emitted it says %+v", f)
	}
}
