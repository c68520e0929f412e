//go:build unix

package local

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
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

func TestFailedDownload(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // the library leaves a log there
	none := httptest.NewServer(http.NotFoundHandler())
	defer none.Close()
	cache := t.TempDir()
	if err := fetch(t.Context(), none.URL, filepath.Join(cache, "postgres")); err == nil {
		t.Error("got something from nowhere")
	}
	if left, err := os.ReadDir(cache); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What is downloaded comes whole through the counting, and one sees how far it is.
func TestWatchDownload(t *testing.T) {
	t.Parallel()
	archive := bytes.Repeat([]byte("postgres"), 1<<18)
	repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/maven2/postgres.jar" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(archive)))
		_, _ = w.Write(archive)
	}))
	t.Cleanup(repository.Close)
	address, stop, err := watchDownload(t.Context(), repository.URL+"/maven2")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for path, status := range map[string]int{"/postgres.jar": http.StatusOK, "/none": http.StatusNotFound} {
		resp, err := http.Get(address + path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != status || status == http.StatusOK && !bytes.Equal(got, archive) {
			t.Errorf("%s: %s, %d bytes, %v", path, resp.Status, len(got), err)
		}
	}
}
