package posts_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/posts"
)

// A plan that is made while the table is empty, or has a row or two, stays: it must be the one for a million rows as well.
func TestPlansAreForAnyTable(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]string{
		"empty, as it is made":   "SELECT 1",
		"empty, known as such":   "ANALYZE posts",
		"one row":                "INSERT INTO posts " + made(1) + "; ANALYZE posts",
		"a page or two":          "INSERT INTO posts " + made(40) + "; ANALYZE posts",
		"many in doubt":          "INSERT INTO posts " + made(5000) + "; UPDATE posts SET doubt = true WHERE id LIKE '%7'; ANALYZE posts",
		"many of which are told": "INSERT INTO posts " + made(5000) + "; UPDATE posts SET state = 'concluding' WHERE id LIKE '%7'; ANALYZE posts",
		"many rows":              "INSERT INTO posts " + made(5000) + "; ANALYZE posts",
		"uses of a few accounts": uses(2600, 10) + "; ANALYZE quota_uses",
		"uses of many":           uses(5000, 2000) + "; ANALYZE quota_uses",
		"old uses":               uses(5000, 50) + "; UPDATE quota_uses SET at = at - interval '3 days'; ANALYZE quota_uses",
		"uses, not known":        uses(5000, 400),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := pg.Open(t.Context(), pg.Config{URL: pgtest.URL(t), MaxConns: 1, ByKey: true}, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), fill+"; "+connectAccount); err != nil {
				t.Fatal(err)
			}
			for _, plan := range plansOf(t, db) {
				if t.Logf("%s", plan); !onlyByKey(plan) {
					t.Errorf("%s", plan)
				}
			}
		})
	}
}

const connectAccount = `INSERT INTO social_connections (id, user_id, provider_user_id, access_token, access_token_expires_at, created_at, updated_at, status, granted_at,
	rev, fact, token_issued_at) VALUES ('a', 'u', '1', '', now(), now(), now(), 'active', now(), 1, '', now())`

func made(n int) string {
	return fmt.Sprintf(`(id, user_id, account_id, text, content_hash, publish_at, publish_within, state, created_at, updated_at, rev, fact)
		SELECT 'p' || i, 'u', 'a', repeat('x', 200), i, now(), 1, 'scheduled', now(), now(), 1, '' FROM generate_series(1, %d) AS i`, n)
}

func uses(n, accounts int) string {
	return fmt.Sprintf(`INSERT INTO quota_uses (account_id, quota, at, post_id, part) SELECT 'a' || i %% %d, 'posts', now(), 'p' || i, 0 FROM generate_series(1, %d) AS i`, accounts, n)
}

// plansOf makes each statement that is prepared for what every post goes through, and gives the plans that stay.
func plansOf(t *testing.T, db *bun.DB) (plans []string) {
	t.Helper()
	s := posts.NewStore(db, time.Minute, time.Minute)
	p := &posts.Post{ID: "p1", State: events.StateScheduled, Lease: "l"}
	next := *p
	tried := []asks.Attempt{{At: time.Now()}}
	// The post is not as it is said to be; that the statements were made is seen below.
	_ = s.SaveSteps(t.Context(), []posts.Step{{Old: p, Next: &next}})
	for _, n := range []int{1, 40} { // few are locked first
		var leases []posts.LeaseWanted
		var steps []posts.Step
		var delayed []posts.Delayed
		var outcomes []posts.Outcome
		var told []posts.Post
		revs := map[string]int64{}
		for i := range n {
			p := &posts.Post{ID: fmt.Sprint("p", i), State: events.StateScheduled, Lease: "l"}
			next := *p
			leases, steps = append(leases, s.Lease(p, time.Now())), append(steps, posts.Step{Old: p, Next: &next, Tried: tried})
			delayed, outcomes = append(delayed, posts.Delayed{Post: p, At: time.Now()}), append(outcomes, posts.Outcome{Old: p, Next: &next, Tried: tried})
			told, revs[p.ID] = append(told, *p), 1
		}
		_, _, _, _ = s.AcquireLeases(t.Context(), leases), s.SaveSteps(t.Context(), steps), s.Delay(t.Context(), delayed), s.SaveOutcomes(t.Context(), outcomes)
		err := pg.InTx(t.Context(), db, func(ctx context.Context, tx bun.Tx) error {
			return posts.MarkEmitted(ctx, tx, revs)
		})
		_, final := posts.Finalize(t.Context(), db, told)
		err = errors.Join(err, final)
		if err != nil {
			t.Fatal(err)
		}
	}
	ready := &posts.Post{ID: "p1", AccountID: "a", State: events.StateReady}
	claimed := *ready
	_ = s.Claim(t.Context(), []posts.Claim{{Old: ready, Next: &claimed}}, time.Minute, time.Now())
	if _, err := accounts.GetAll(t.Context(), db, []string{"a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := accounts.ForUsers(t.Context(), db, []string{"u"}); err != nil {
		t.Fatal(err)
	}
	accepted := posts.Acceptance{Command: commands.Command{ID: "c", PostID: "new"}, Post: &posts.Post{ID: "new", AccountID: "none"}}
	if err := s.Accept(t.Context(), []posts.Acceptance{accepted})[0]; !errors.Is(err, batch.ErrAlone) {
		t.Fatal(err)
	}
	reads := &batch.Batcher[batch.Read[posts.Post]]{Size: 1, AtOnce: 1, Work: s.ReadMany}
	if _, err := batch.Fetch(t.Context(), reads, p.ID); err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Statement  string
		Parameters int
	}
	if err := db.NewRaw("SELECT statement, cardinality(parameter_types) AS parameters FROM pg_prepared_statements").Scan(t.Context(), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 21 {
		t.Fatalf("%d statements are prepared: %v", len(rows), rows)
	}
	for _, row := range rows {
		if _, err := db.ExecContext(t.Context(), "PREPARE again AS "+row.Statement); err != nil {
			t.Fatal(err)
		}
		var lines []string
		if err := db.NewRaw("EXPLAIN EXECUTE again("+strings.Repeat(", NULL", row.Parameters)[2:]+")").Scan(t.Context(), &lines); err != nil {
			t.Fatal(err)
		}
		plans = append(plans, row.Statement+"\n"+strings.Join(lines, "\n"))
		if _, err := db.ExecContext(t.Context(), "DEALLOCATE again"); err != nil {
			t.Fatal(err)
		}
	}
	return plans
}

var scans = regexp.MustCompile(`(Seq Scan|Index Scan using \w+|Index Only Scan using \w+|Bitmap Index Scan) on ((?:posts|quota_uses|social_connections)\w*).*\n(.*)`)

// onlyByKey says whether a plan comes to posts by their key alone, each by itself, to those in doubt by their own index, and to
// the uses of a quota by their account.
func onlyByKey(plan string) bool {
	found := scans.FindAllStringSubmatch(plan, -1)
	for _, scan := range found {
		switch index := scan[1] + " " + scan[2]; {
		case strings.Contains(index, "_pkey") && strings.Contains(scan[3], "Index Cond: (id = ANY ($1"):
		case strings.Contains(index, "social_connections_threads") && strings.Contains(scan[3], "Index Cond: (provider_user_id = "):
		case strings.Contains(index, "social_connections_user_id") && strings.Contains(scan[3], "Index Cond: (user_id = ANY ($1"):
		case strings.Contains(index, "posts_doubt") && strings.Contains(scan[3], "Index Cond: (account_id = "):
		case strings.Contains(index, "quota_uses_account") && strings.Contains(scan[3], "Index Cond: ((account_id = "):
		default:
			return false
		}
	}
	return len(found) > 0
}
