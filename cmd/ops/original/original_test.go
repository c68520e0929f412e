package original

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// seed makes a database of the original's, or of something like it, and opens it.
func seed(t *testing.T, statements string) (*Source, error) {
	t.Helper()
	address := pgtest.EmptyURL(t)
	db, err := pg.Open(t.Context(), pg.Config{URL: address}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
	s, err := OpenSource(t.Context(), address+"&schema=public&pgbouncer=true&connection_limit=1", nil, zap.NewNop())
	if err == nil {
		t.Cleanup(s.Close)
	}
	return s, err
}

const mapped = `
	CREATE TABLE social_connections (id uuid PRIMARY KEY, provider varchar(20), provider_user_id text, access_token text, user_id text,
		access_token_expires_at timestamptz);
	CREATE TABLE scheduled_tweets (id text, user_id text, provider text, text text, scheduled_at timestamp(3), status text);
	INSERT INTO social_connections VALUES ('00000000-0000-0000-0000-000000000001', 'threads', '1', 't', 'u', '2030-01-01 12:00+03');
	INSERT INTO scheduled_tweets VALUES ('a', 'u', 'THREADS', 'hi', '2027-01-01 09:00:00.123', 'queued'), ('b', 'u', 'THREADS', NULL, 'infinity', 'POSTED'),
		('c', 'u', 'X', 'no', '2027-01-01', 'QUEUED'), ('d', 'u', NULL, 'no', '2027-01-01', 'QUEUED')`

func TestSource(t *testing.T) {
	t.Parallel()

	t.Run("reads mapped names, and times without a zone as UTC", func(t *testing.T) {
		t.Parallel()
		s, err := seed(t, mapped)
		if err != nil {
			t.Fatal(err)
		}
		var posts []post
		if err := s.eachPost(t.Context(), 1, func(page []post) error { posts = append(posts, page...); return nil }); err != nil {
			t.Fatal(err)
		}
		want := time.Date(2027, 1, 1, 9, 0, 0, 123_000_000, time.UTC)
		if len(posts) != 2 || posts[0].ID != "a" || !posts[0].ScheduledAt.Equal(want) || !posts[1].ScheduledAt.IsZero() || posts[1].Text != "" {
			t.Errorf("it read %+v", posts)
		}
		var connections []connection
		if err := s.eachConnection(t.Context(), 10, func(page []connection) error { connections = append(connections, page...); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(connections) != 1 || !connections[0].ExpiresAt.Equal(time.Date(2030, 1, 1, 9, 0, 0, 0, time.UTC)) {
			t.Errorf("it read %+v", connections)
		}
		if others, err := s.others(t.Context()); err != nil || others["scheduled_tweets X"] != 1 || others["scheduled_tweets "] != 1 {
			t.Errorf("others are %v, %v", others, err)
		}
	})

	t.Run("cannot write", func(t *testing.T) {
		t.Parallel()
		s, err := seed(t, mapped)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.tx.ExecContext(t.Context(), "UPDATE scheduled_tweets SET text = 'x'"); err == nil || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("writing says %v", err)
		}
	})

	for name, c := range map[string]struct{ tables, says string }{
		"says that there is no such table": {"CREATE TABLE other (id text)", `no table "SocialConnection"`},
		"does not take our own table for it": {
			"CREATE TABLE social_connections (id text, provider text, provider_user_id text, access_token bytea, user_id text, told_rev bigint)",
			`no table "SocialConnection"`,
		},
		"names a column that is missing": {`CREATE TABLE "SocialConnection" (id text, provider text, "userId" text, "accessToken" text)`, `no column "providerUserId"`},
		"does not choose between two":    {"CREATE TABLE social_connection (id text); CREATE TABLE social_connections (id text)", "several tables"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := seed(t, c.tables); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %v", err)
			}
		})
	}

	t.Run("an address that is none does not show its password", func(t *testing.T) {
		t.Parallel()
		for _, address := range []string{"postgres://u:hunter2%zz@h/d", "mysql://u:hunter2@h/d", "hunter2"} {
			if _, err := OpenSource(context.Background(), address, nil, zap.NewNop()); err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: it says %v", address, err)
			}
		}
	})
}

// What is over in the original has one outcome whatever is here by now; what is queued, by what may have become of it.
func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	stopped := now.Add(-10 * time.Minute)
	row := post{ID: "a", UserID: "u", Text: "hi", Status: "QUEUED", ScheduledAt: now.Add(time.Hour)}
	posted := row
	posted.Status, posted.PostedTweetID = "POSTED", "77"
	due, between := row, row
	due.ScheduledAt, between.ScheduledAt = stopped.Add(-time.Second), stopped.Add(time.Minute)
	open := here{ID: row.ourID(), AccountID: "acct", State: events.StateScheduled, Rev: 1, Fact: events.FactScheduled, Text: "hi", PublishAt: row.ScheduledAt}
	with := func(h here, change func(*here)) *here { change(&h); return &h }

	for name, c := range map[string]struct {
		row     post
		here    *here
		running bool
		overdue Overdue
		action  Action
		code    string
		command string
		fact    string
	}{
		"queued, the original's backend runs":      {row: row, running: true, action: Left, code: "still_running"},
		"queued":                                   {row: row, action: Taken, command: "post.schedule.v1"},
		"due after the stop: nobody published it":  {row: between, action: Taken, command: "post.publish.v1"},
		"due before the stop: nobody knows":        {row: due, overdue: Hold, action: Held, code: "overdue", fact: "post.parked.v1"},
		"due before the stop, to be published":     {row: due, overdue: Publish, action: Taken, command: "post.publish.v1"},
		"due before the stop, to be failed":        {row: due, overdue: Fail, action: Taken, fact: "post.imported.v1"},
		"queued and here":                          {row: row, here: &open, action: Known},
		"queued and here, changed there":           {row: row, here: with(open, func(h *here) { h.Text = "old" }), action: Updated, command: "post.edit.v1"},
		"queued and here, changed on both sides":   {row: row, here: with(open, func(h *here) { h.Text, h.Rev = "old", 2 }), action: Known, code: "changed_here"},
		"queued there, published here":             {row: row, here: with(open, func(h *here) { h.Text, h.State = "old", events.StatePublished }), action: Known},
		"posted":                                   {row: posted, action: Taken, fact: "post.imported.v1"},
		"posted there, still open here":            {row: posted, here: &open, action: Withdrawn, code: "published_there", command: "post.cancel.v1"},
		"posted there, being published here":       {row: posted, here: with(open, func(h *here) { h.State = events.StatePublishing }), action: Known, code: "in_doubt"},
		"posted there and here":                    {row: posted, here: with(open, func(h *here) { h.State, h.MediaID = events.StatePublished, "78" }), action: Known, code: "published_twice"},
		"posted there, cancelled here":             {row: posted, here: with(open, func(h *here) { h.State = events.StateCancelled }), action: Updated, fact: "post.imported.v1"},
		"posted there, parked here by a run":       {row: posted, here: with(open, func(h *here) { h.State, h.Fact = events.StateParked, events.FactParked }), action: Updated, fact: "post.imported.v1"},
		"posted there, parked here by a publisher": {row: posted, here: with(open, func(h *here) { h.State, h.Fact, h.Rev = events.StateParked, events.FactParked, 3 }), action: Known, code: "in_doubt"},
		"posted, and imported before": {row: posted, here: with(open, func(h *here) {
			h.State, h.Fact, h.MediaID = events.StatePublished, events.FactImported, "77"
		}), action: Known},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := &Import{Overdue: c.overdue, StoppedAt: stopped, Now: func() time.Time { return now },
				accounts: map[string][]string{"u": {"acct"}}, media: map[string]string{}}
			if c.running {
				i.StoppedAt = time.Time{}
			}
			ours := map[string]here{}
			if c.here != nil {
				ours[c.row.ourID()] = *c.here
			}
			s := i.decide(c.row, ours, map[string]accounts.Account{})
			command, fact := "", ""
			if s.command != nil {
				command = s.command.Type()
			}
			if s.event != nil {
				fact = s.event.Type()
			}
			if s.row.Action != c.action || s.row.Code != c.code || command != c.command || fact != c.fact {
				t.Errorf("it is %s %q by %q %q; want %s %q by %q %q", s.row.Action, s.row.Code, command, fact, c.action, c.code, c.command, c.fact)
			}
			if s.row.Code != "" && reasons[s.row.Code] == "" {
				t.Errorf("%s has no sentence", s.row.Code)
			}
		})
	}
}

func TestCleanTakesCredentialsOut(t *testing.T) {
	t.Parallel()
	for _, message := range []string{
		"GET https://graph.threads.net/v1.0/me?access_token=hunter2&x=1 failed", "token THAAhunter2hunter2hunter2hunter2 is bad",
		"header Bearer hunter2", "client_secret=hunter2",
	} {
		if got := clean(message); strings.Contains(got, "hunter2") {
			t.Errorf("%q stays %q", message, got)
		}
	}
	const fine = "The video was too long: 301 seconds."
	if clean(fine) != fine {
		t.Errorf("it changes %q", fine)
	}
}

// A run emits its events, and commands, with the permissions that a deployment gives to ops.
func TestPermissions(t *testing.T) {
	t.Parallel()
	s := bustest.ServeConf(t, "../../../internal/bus/natsd/nats.conf", nil)
	if err := bus.Declare(t.Context(), s.As(t, bus.UserMigrate), bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	ops := s.As(t, bus.UserOps)
	row := post{ID: "a", UserID: "u", Status: "POSTED", PostedTweetID: "7", ScheduledAt: time.Now()}
	account := events.Connection{ID: "acct_1"}
	err := ops.Emit(t.Context(), step{post: row, row: Row{Status: "POSTED"}}.imported("acct_1", 1),
		events.NewPostEvent(events.FactParked, row.snapshot("acct_1", 1, events.StateParked, events.StatusQueued)),
		events.NewAccountConnected(account), events.NewAccountReconnectRequired(account, events.Fault{}, events.Endangerment{}))
	if err != nil {
		t.Error(err)
	}
	for _, cmd := range []events.Command{events.SchedulePost{}, events.PublishPost{}, events.EditPost{}, events.CancelPost{}} {
		if err := ops.Send(t.Context(), cmd, bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
			t.Error(err)
		}
	}
}
