package test

import (
	"context"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
)

// What will never come right by waiting ends `migrate` at once, with the cause in one line: everything else of a deployment
// waits for it.
func TestMigrateSaysWhatItLacks(t *testing.T) {
	t.Parallel()
	nats := func(change func(*server.Options)) map[string]string {
		s := bustest.ServeConf(t, "internal/bus/natsd/nats.conf", change)
		return map[string]string{"NATS_URL": s.URL, "NATS_PASSWORD": bustest.PasswordFor(bus.UserMigrate)}
	}
	wrongPassword := nats(nil)
	wrongPassword["NATS_PASSWORD"] = "another"
	for name, c := range map[string]struct {
		database string
		nats     map[string]string
		says     []string
	}{
		"the database's encoding": {inASCII(t), nats(nil), []string{"SQL_ASCII", "UTF8", "CREATE DATABASE"}},
		"NATS' disk":              {pgtest.EmptyURL(t), nats(func(o *server.Options) { o.JetStreamMaxStore = 512 << 20 }), []string{"COMMANDS", "1024 MiB", "max_file_store"}},
		"NATS' password":          {pgtest.EmptyURL(t), wrongPassword, []string{"NATS", "credentials"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			getenv := func(name string) string {
				if name == "DATABASE_URL" {
					return c.database
				}
				return c.nats[name]
			}
			err := cmd.Run(t.Context(), []string{"migrate"}, getenv, io.Discard, io.Discard)
			if err == nil || cmd.ExitCode(err) != 1 || strings.Contains(err.Error(), "\n") {
				t.Fatalf("it ends with %v", err)
			}
			for _, word := range c.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%v lacks %q", err, word)
				}
			}
		})
	}
}

// inASCII is the address of a database that was made in the locale C.
func inASCII(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(pgtest.EmptyURL(t))
	if err != nil {
		t.Fatal(err)
	}
	db, err := pg.Open(t.Context(), pg.Config{URL: u.String()}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	name := u.Path[1:] + "_ascii"
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE ? ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0", bun.Ident(name)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.ExecContext(context.Background(), "DROP DATABASE ? WITH (FORCE)", bun.Ident(name)); err != nil {
			t.Error(err)
		}
		_ = db.Close()
	})
	u.Path = "/" + name
	return u.String()
}
