package pgtest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
)

// withoutMain makes the test binary behave like that of a package whose author forgot Main.
const withoutMain = "PGTEST_WITHOUT_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(withoutMain) != "" {
		m.Run()
		return
	}
	pgtest.Main(m)
}

func TestNew(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := pgtest.New(t)
	if pending, err := pg.Pending(ctx, db); err != nil || len(pending) > 0 {
		t.Errorf("pending: %v, %v", pending, err)
	}
	if _, err := db.ExecContext(ctx, "CREATE TABLE mine ()"); err != nil {
		t.Fatal(err)
	}

	var other string
	t.Run("another test has another database", func(t *testing.T) {
		db := pgtest.New(t)
		var seen *string
		if err := db.QueryRowContext(ctx, "SELECT current_database(), to_regclass('mine')::text").Scan(&other, &seen); err != nil {
			t.Fatal(err)
		}
		if seen != nil {
			t.Error("it sees the first one's table")
		}
	})
	var left bool
	if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = ?)", other).Scan(&left); err != nil {
		t.Fatal(err)
	}
	if other == "" || left {
		t.Errorf("database %q of a finished test is still there", other)
	}
}

// TestProcess runs this very test binary again, under other circumstances.
func TestProcess(t *testing.T) {
	t.Parallel()
	run := func(test string, env ...string) (string, error) {
		cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$")
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}

	t.Run("leaves nothing behind", func(t *testing.T) {
		t.Parallel()
		dir, err := os.MkdirTemp("", "pgtest-outer-") // not t.TempDir, which only root may enter when we are root
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
		if out, err := run("TestNew", "TMPDIR="+dir); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})

	t.Run("fails in words without a Postgres", func(t *testing.T) {
		t.Parallel()
		out, err := run("TestNew", "PG_BINDIR=/nowhere", "TEST_DATABASE_URL=")
		if err == nil || !strings.Contains(out, "tests need a real Postgres") || !strings.Contains(out, "/nowhere") {
			t.Errorf("%v: %s", err, out)
		}
	})

	t.Run("fails in words without Main", func(t *testing.T) {
		t.Parallel()
		out, err := run("TestNew", withoutMain+"=1")
		if err == nil || !strings.Contains(out, "func TestMain") {
			t.Errorf("%v: %s", err, out)
		}
	})
}
