package pg_test

import (
	"context"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
)

func TestSessionSettings(t *testing.T) {
	t.Parallel()
	base := pgtest.EmptyURL(t)
	show := func(t *testing.T, c pg.Config, setting string) (value string) {
		t.Helper()
		if err := open(t, c).QueryRowContext(t.Context(), "SELECT current_setting(?)", setting).Scan(&value); err != nil {
			t.Fatal(err)
		}
		return value
	}
	for setting, want := range map[string]string{
		"statement_timeout":                   "30s",
		"lock_timeout":                        "5s",
		"idle_in_transaction_session_timeout": "1min",
		"tcp_keepalives_idle":                 "5",
		"tcp_keepalives_interval":             "2",
		"tcp_keepalives_count":                "3",
		"tcp_user_timeout":                    "10000",
		"TimeZone":                            "UTC",
		"application_name":                    "publisher",
	} {
		if got := show(t, pg.Config{URL: base, Application: "publisher"}, setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	if got := show(t, pg.Config{URL: base, IdleInTransaction: 5 * time.Second}, "idle_in_transaction_session_timeout"); got != "5s" {
		t.Errorf("5s of silence in a transaction were to be allowed, and %s are", got)
	}
	if got := show(t, pg.Config{URL: base + "&statement_timeout=7s"}, "statement_timeout"); got != "7s" {
		t.Errorf("the url asked for 7s and got %q", got)
	}
}

// What a client has locked is free again when it has been silent in its transaction for so long.
func TestIdleInTransaction(t *testing.T) {
	t.Parallel()
	url := pgtest.EmptyURL(t)
	stopped := open(t, pg.Config{URL: url, IdleInTransaction: 100 * time.Millisecond})
	if _, err := stopped.ExecContext(t.Context(), "CREATE TABLE held (id int); INSERT INTO held VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	conn, err := stopped.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(t.Context(), "BEGIN; UPDATE held SET id = 2"); err != nil { // in one: between two it would be silent
		t.Fatal(err)
	}
	other := open(t, pg.Config{URL: url + "&lock_timeout=30s&statement_timeout=40s"})
	if _, err := other.ExecContext(t.Context(), "UPDATE held SET id = 3 WHERE id = 1"); err != nil {
		t.Errorf("a row that a silent client holds cannot be changed: %v", err)
	}
	if _, err := conn.ExecContext(t.Context(), "COMMIT"); err == nil {
		t.Error("the silent transaction was committed")
	}
}

func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	db := open(t, pg.Config{URL: pgtest.EmptyURL(t) + "&statement_timeout=50ms"})
	_, err := db.ExecContext(t.Context(), "SELECT pg_sleep(20)")
	if err == nil || !strings.Contains(err.Error(), "57014") {
		t.Errorf("got %v, want the statement cancelled", err)
	}
	if pg.Unavailable(err) {
		t.Error("a slow statement does not mean that Postgres is away")
	}
}

func TestOpenRefused(t *testing.T) {
	t.Parallel()

	t.Run("at once for a wrong password", func(t *testing.T) {
		t.Parallel()
		u, err := url.Parse(pgtest.EmptyURL(t))
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("postgres", "hush-hush")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // less than the patience for a server that is away
		defer cancel()
		_, err = pg.Open(ctx, pg.Config{URL: u.String()}, zap.NewNop())
		assertError(t, err, "28P01", "hush-hush")
		if ctx.Err() != nil {
			t.Error("it was tried again and again")
		}
	})

	t.Run("when ctx ends, for a server that is not there", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		l.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err = pg.Open(ctx, pg.Config{URL: "postgres://u:hush-hush@" + address + "/x?sslmode=disable"}, zap.NewNop())
		assertError(t, err, "postgres://u:xxxxx@"+address, "hush-hush")
		if !pg.Unavailable(err) {
			t.Errorf("%v does not count as unavailable", err)
		}
	})

	t.Run("in one line, of however many addresses", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := pg.Open(ctx, pg.Config{URL: "postgres://u:hush-hush@127.0.0.1:1/x?sslmode=disable&host=127.0.0.1,127.0.0.2"}, zap.NewNop())
		assertError(t, err, "127.0.0.2", "hush-hush")
	})

	t.Run("for a url that cannot be read", func(t *testing.T) {
		t.Parallel()
		for _, broken := range []string{
			"",
			"postgres://u:hush/hush@host/x",
			"postgres://u:hush%hush@host/x",
			"postgres://u:1/hush@host:5/x?sslmode=bad", // pgx quotes this one whole
			"postgres://127.0.0.1:1/hush@host/x",       // and would connect with this one
			"host=h password=hush port=x",
		} {
			_, err := pg.Open(t.Context(), pg.Config{URL: broken}, zap.NewNop())
			assertError(t, err, "database url", "hush")
		}
	})
}

// A database that is away is told of at once, then at most once a second: each time the cause in one line, of however many
// addresses, and how long it is still tried.
func TestOpenTellsOfADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	core, told := observer.New(zap.WarnLevel)
	log := zap.New(core, zap.Hooks(func(zapcore.Entry) error {
		if told.Len() == 3 {
			cancel()
		}
		return nil
	}))
	if _, err := pg.Open(ctx, pg.Config{URL: "postgres://u:hush-hush@127.0.0.1:1/x?sslmode=disable&host=127.0.0.1,127.0.0.2"}, log); err == nil {
		t.Fatal("it is connected")
	}
	var before observer.LoggedEntry
	for i, line := range told.All() {
		says := line.ContextMap()
		cause, _ := says["error"].(string)
		if !strings.Contains(cause, "127.0.0.2") || strings.ContainsAny(cause, "\n\t") || strings.Contains(cause, "hush-hush") {
			t.Errorf("the cause is %q", cause)
		}
		if left, _ := says["gives_up_in"].(time.Duration); left <= 0 || left > 30*time.Second || left%time.Second != 0 {
			t.Errorf("it gives up in %v", says["gives_up_in"])
		}
		if i > 0 && line.Time.Sub(before.Time) < time.Second {
			t.Errorf("it is told again after %s", line.Time.Sub(before.Time))
		}
		before = line
	}
}

func assertError(t *testing.T, err error, has, hasNot string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), has) || strings.Contains(err.Error(), hasNot) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one line with %q in it and not %q", err, has, hasNot)
	}
}

func TestRedactURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"postgres://u:p@h:5432/db?sslmode=disable":  "postgres://u:xxxxx@h:5432/db?sslmode=disable",
		"postgres://u:p/w@x@h/db":                   "postgres://u:xxxxx@h/db",
		"postgres://u@h:5432/db":                    "postgres://u@h:5432/db",
		"postgres://h/db?user=u&password=p&x=1":     "postgres://h/db?user=u&password=xxxxx&x=1",
		`host=h password = 'a \' b' dbname=d`:       "host=h password = xxxxx dbname=d",
		"host=h sslpassword=secret password=secret": "host=h sslpassword=xxxxx password=xxxxx",
	} {
		if got := pg.RedactURL(in); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}
