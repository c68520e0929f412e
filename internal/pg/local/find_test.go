//go:build unix

package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNothingFound(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{StateDir: stateDir(t), Search: []string{}, NoDownload: true})
	if err == nil {
		t.Fatal("found a Postgres where none was to be looked for")
	}
	for _, way := range []string{"no Postgres server found", installLine(), "DATABASE_URL", "docker compose up"} {
		if !strings.Contains(err.Error(), way) {
			t.Errorf("%q does not mention %q", err, way)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
}

func TestBinDirWithoutPostgres(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	_, err := Start(t.Context(), Options{StateDir: stateDir(t), BinDir: empty})
	if err == nil || !strings.Contains(err.Error(), "PG_BINDIR") || !strings.Contains(err.Error(), empty) {
		t.Errorf("got %v, want PG_BINDIR and %s named", err, empty)
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		says         string
		major, minor int
		refused      string
	}{
		{says: "postgres (PostgreSQL) 15.19 (Debian 15.19-0+deb12u1)", major: 15, minor: 19},
		{says: "postgres (PostgreSQL) 18beta1", major: 18},
		{says: "postgres (PostgreSQL) 9.6.24", refused: "14 is the oldest"},
		{says: "hello", refused: "does not tell its version"},
	} {
		dir := t.TempDir()
		for _, name := range []string{"postgres", "initdb"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho '"+c.says+"'\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		b, err := inspect(t.Context(), dir, nil)
		switch {
		case c.refused != "":
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: got %v, want %q", c.says, err, c.refused)
			}
		case err != nil:
			t.Errorf("%s: %v", c.says, err)
		case b.major != c.major || b.minor != c.minor:
			t.Errorf("%s: read as %d and %d", c.says, b.major, b.minor)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	found := []binaries{{major: 15, minor: 9}, {major: 15, minor: 19}, {major: 18, minor: 1}, {major: 17, minor: 2}}
	for _, c := range []struct {
		why   string
		kept  []int
		want  int
		minor int
	}{
		{"the newest, when there is no data", nil, 18, 1},
		{"the newest release of the major that has data", []int{15}, 15, 19},
		{"the newest of several with data", []int{15, 17}, 17, 2},
		{"data that nothing here can read decides nothing", []int{14}, 18, 1},
	} {
		if got := choose(found, c.kept); got.major != c.want || got.minor != c.minor {
			t.Errorf("%s: chose %d.%d", c.why, got.major, got.minor)
		}
	}
}

func TestMajorsWithData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"postgres-15", "postgres-16.new", "nats"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if got := majorsWithData(dir); len(got) != 1 || got[0] != 15 {
		t.Errorf("got %v", got)
	}
}

func TestEnterable(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(t.TempDir(), "closed")
	inside := filepath.Join(closed, "inside")
	if err := os.MkdirAll(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	stranger := &account{name: "somebody", uid: 54321, gid: 54321}
	err := enterable(inside, stranger)
	if err == nil || !strings.Contains(err.Error(), "somebody, who may not enter "+closed+":") {
		t.Errorf("got %v, want the closed directory named", err)
	}
	if err := enterable(inside, nil); err != nil {
		t.Errorf("ourselves: %v", err)
	}
}
