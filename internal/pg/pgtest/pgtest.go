// Package pgtest gives each test a real database of its own. A package that uses it has
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
// and gets one throwaway server, started by the first test that asks, or the server that TEST_DATABASE_URL names. The
// schema is migrated once into a template, which is cloned for each test in some 50 ms.
package pgtest

import (
	"context"
	"flag"
	"os"
	"testing"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

func init() { pg.Strict(); pg.Observe(&seen) } //nolint:gochecknoinits // also in a test binary that runs as the program

// atOnce is how many tests of a package run side by side, unless -parallel says otherwise. They wait far more than they
// compute: as many as there are processors, which is Go's own choice, would leave the processors idle.
const atOnce = "8"

// Main runs the tests of a package, looks at the plans of the statements that were made in them, and afterwards stops and
// removes the server, if one was started.
func Main(m *testing.M) {
	shared.managed.Store(true)
	defer shared.close()
	sideBySide()
	m.Run() // TestMain may return: the exit code is kept in m
	if !seen.report() {
		shared.close()
		os.Exit(1)
	}
}

func sideBySide() {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		_ = flag.Set("test.parallel", atOnce)
	}
}

// New returns a pool on a fresh database with the current schema. Both are gone when the test has ended.
func New(t testing.TB) *bun.DB {
	t.Helper()
	url := URL(t)
	ctx, cancel := context.WithTimeout(t.Context(), waiting.Limit)
	defer cancel()
	db, err := pg.Open(ctx, pg.Config{URL: url, Application: "test", MaxConns: 8, ByKey: true}, zap.NewNop())
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// URL returns the url of a fresh database with the current schema.
func URL(t testing.TB) string {
	t.Helper()
	return fresh(t, true)
}

// EmptyURL returns the url of a fresh database with nothing in it, for tests of migrating itself.
func EmptyURL(t testing.TB) string {
	t.Helper()
	return fresh(t, false)
}

func fresh(t testing.TB, migrated bool) string {
	t.Helper()
	if !shared.managed.Load() {
		t.Fatal("pgtest: this package needs func TestMain(m *testing.M) { pgtest.Main(m) }, or its server would outlive it")
	}
	s, err := shared.get()
	if err != nil {
		t.Fatalf("pgtest: tests need a real Postgres, and TEST_DATABASE_URL may name one: %v", err)
	}
	template := emptyTemplate
	if migrated {
		if template, err = s.migrated(); err != nil {
			t.Fatalf("pgtest: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), waiting.Limit)
	defer cancel()
	name, err := s.create(ctx, template)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waiting.Limit) // t's own is over by now
		defer cancel()
		if err := s.drop(ctx, name); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return s.urlOf(name)
}
