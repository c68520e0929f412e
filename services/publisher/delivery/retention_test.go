package delivery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/delivery"
)

func (r *system) count(query string) (n int) {
	r.T.Helper()
	if err := r.DB.QueryRowContext(r.T.Context(), query).Scan(&n); err != nil {
		r.T.Fatal(err)
	}
	return n
}

func TestForgetsCommands(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.change(`INSERT INTO commands (id, user_id, key, type, outcome, created_at, finished_at)
		SELECT 'old_' || i, 'u', 'key ' || i, 'post.schedule.v1', '{}', now() - interval '40 days', now() - interval '31 days' FROM generate_series(1, ?) AS i`, delivery.ForgetStep+5)
	r.change(`INSERT INTO commands (id, user_id, key, type, outcome, created_at, finished_at)
		VALUES ('young', 'u', 'young', 'post.schedule.v1', '{}', now() - interval '40 days', now() - interval '29 days')`)
	r.change(`INSERT INTO commands (id, user_id, key, type, created_at) VALUES ('pending', 'u', 'pending', 'post.publish.v1', now() - interval '1 year')`)
	s := r.Idle()
	for _, want := range []int{7, 2, 2} { // in steps
		if err := s.Delivery.SweepOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := r.count("SELECT count(*) FROM commands"); n != want {
			t.Errorf("%d commands are left, want %d", n, want)
		}
	}
	s.Delivery.KeepCommands(0)
	r.change("UPDATE commands SET finished_at = now() - interval '9 years' WHERE id = 'young'")
	if err := s.Delivery.SweepOnce(t.Context()); err != nil || r.count("SELECT count(*) FROM commands") != 2 {
		t.Errorf("kept for ever, it is forgotten (%v)", err)
	}
}

func TestForgetsAttempts(t *testing.T) {
	t.Parallel()
	r := setup(t)
	for id, row := range map[string]string{ // state, how old in days, whether a deletion is asked for
		"done": "'published', 91, false", "again": "'failed', 89, false", "parked": "'parked', 400, false", "deleting": "'published', 400, true",
	} {
		r.change(`INSERT INTO posts (id, user_id, account_id, text, content_hash, publish_at, publish_within, state, created_at, updated_at, rev, told_rev, fact, delete_requested_at)
			SELECT '` + id + `', 'u', 'a', '', '', now(), 86400, state, now(), now() - days * interval '1 day', 1, 1, 'scheduled', CASE WHEN asked THEN now() END
			FROM (VALUES (` + row + `)) AS v (state, days, asked)`)
	}
	note := func(post string, days, n int) {
		r.change(`INSERT INTO post_attempts (post_id, at, phase, took_ms, ok, message)
			SELECT ?, now() - ? * interval '1 day', 'create', 1, true, '' FROM generate_series(1, ?)`, post, days, n)
	}
	note("parked", 100, delivery.ForgetStep+5) // more than a step of those that stay comes first
	note("done", 91, 3)
	note("erased", 91, 2)
	note("again", 91, 1)
	note("deleting", 91, 1)
	note("done", 89, 1)
	s := r.Idle()
	for range 2 {
		if err := s.Delivery.SweepOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for post, want := range map[string]int{"parked": delivery.ForgetStep + 5, "done": 1, "erased": 0, "again": 1, "deleting": 1} {
		if n := r.count("SELECT count(*) FROM post_attempts WHERE post_id = '" + post + "'"); n != want {
			t.Errorf("of %s there are %d attempts, want %d", post, n, want)
		}
	}
	if after, next := s.Delivery.AttemptsRound(); after != 0 || next.Before(time.Now()) {
		t.Errorf("the round goes on after %d, until %s", after, next)
	}
}

func TestRetentionMistakes(t *testing.T) {
	t.Parallel()
	for value, wrong := range map[string]bool{"0": false, "24h": false, "23h": true, "-1h": true} {
		c, err := publisher.ConfigFromEnv(func(name string) string { return map[string]string{"PUBLISHER_COMMANDS_KEPT": value}[name] })
		if err != nil {
			if !wrong {
				t.Errorf("%s: %v", value, err)
			}
			continue
		}
		var words []string
		for _, m := range c.Mistakes() {
			words = append(words, m.Error())
		}
		if got := strings.Join(words, "; "); strings.Contains(got, "PUBLISHER_COMMANDS_KEPT") != wrong {
			t.Errorf("%s: %q", value, got)
		}
	}
}
