//go:build unix

package local

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ulikunitz/xz"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// archive is what the repository has: the programs of the Postgres of this machine, called by scripts that only their owner may
// read, as an archive that was unpacked under a strict umask has them.
func archive(t *testing.T) []byte {
	t.Helper()
	who, err := dropTo()
	if err != nil {
		t.Fatal(err)
	}
	installed, err := find(t.Context(), Options{BinDir: os.Getenv("PG_BINDIR"), Repository: os.Getenv("PG_REPOSITORY")}, stateDir(t), who, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	x, err := xz.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewWriter(x)
	for _, name := range []string{"postgres", "initdb", "pg_ctl"} {
		script := "#!/bin/sh\nexec '" + installed.path(name) + "' \"$@\"\n"
		if err := files.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "bin/" + name, Mode: 0o700, Size: int64(len(script))}); err != nil {
			t.Fatal(err)
		}
		if _, err := files.Write([]byte(script)); err != nil {
			t.Fatal(err)
		}
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	entry, err := z.Create("postgres.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entry.Write(packed.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return jar.Bytes()
}

// repository serves an archive, with the checksum that sum makes of it, at a path like those of Maven's.
func repository(t *testing.T, jar []byte, sum func(string) (string, int)) (address string, downloads *atomic.Int64) {
	t.Helper()
	downloads = new(atomic.Int64)
	digest := sha256.Sum256(jar)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasPrefix(r.URL.Path, "/maven2/") || !strings.Contains(r.URL.Path, string(downloadVersion)):
			http.NotFound(w, r)
		case strings.HasSuffix(r.URL.Path, ".sha256"):
			text, status := sum(hex.EncodeToString(digest[:]))
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		default:
			downloads.Add(1)
			w.Header().Set("Content-Length", fmt.Sprint(len(jar)))
			_, _ = w.Write(jar)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/maven2", downloads
}

func honest(sum string) (string, int) { return sum, http.StatusOK }

// cacheDir is a cache that the account which runs Postgres can reach.
func cacheDir(t *testing.T) string {
	t.Helper()
	dir := stateDir(t)
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Where there is no Postgres, one is downloaded once, whoever we are and however many ask at the same time, and it runs.
func TestDownload(t *testing.T) {
	t.Parallel()
	from, downloads := repository(t, archive(t), honest)
	cache := cacheDir(t)
	core, logs := observer.New(zap.InfoLevel)
	o := Options{Search: []string{}, Repository: from, CacheDir: cache, Throwaway: true, Log: zap.New(core)}

	var together sync.WaitGroup
	for range 3 {
		together.Go(func() {
			o := o
			o.StateDir = stateDir(t)
			s, err := Start(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			if got := text(t, s.URL(), "SELECT 'it runs'"); got != "it runs" {
				t.Error(got)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	together.Wait()
	if n := downloads.Load(); n != 1 {
		t.Errorf("downloaded %d times", n)
	}
	said := logs.FilterMessageSnippet("downloaded, once").All()
	if len(said) != 1 {
		t.Fatalf("it says %v", logs.All())
	}
	for _, what := range []string{"version", "size", "from", "to"} {
		if s, _ := said[0].ContextMap()[what].(string); s == "" {
			t.Errorf("it does not say %s: %v", what, said[0].ContextMap())
		}
	}
	left, err := filepath.Glob(filepath.Join(cache, "omni-threads", "download-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What cannot be had, is damaged or cannot be checked is not used; one sentence says why, and what else there is to do.
func TestFailedDownload(t *testing.T) {
	t.Parallel()
	jar := archive(t)
	none := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(none.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	damaged, _ := repository(t, jar, func(string) (string, int) { return strings.Repeat("0", 64), http.StatusOK })
	unchecked, _ := repository(t, jar, func(string) (string, int) { return "", http.StatusNotFound })
	halved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(jar)))
		_, _ = w.Write(jar[:len(jar)/2])
	}))
	t.Cleanup(halved.Close)
	for name, c := range map[string]struct{ from, says string }{
		"no network":       {gone.URL, "cannot be reached"},
		"nothing there":    {none.URL, "404 Not Found"},
		"another checksum": {damaged, "checksums do not match"},
		"no checksum":      {unchecked, "404 Not Found for embedded-postgres"},
		"cut off":          {halved.URL, "not whole"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := cacheDir(t)
			_, err := Start(t.Context(), Options{StateDir: stateDir(t), Search: []string{}, Repository: c.from, CacheDir: cache})
			if err == nil {
				t.Fatal("it was used")
			}
			for _, words := range []string{c.says, installLine(), "DATABASE_URL"} {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q does not mention %q", err, words)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			left, err := os.ReadDir(filepath.Join(cache, "omni-threads"))
			if err != nil || len(left) != 1 || !strings.HasSuffix(left[0].Name(), ".lock") {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// The library has the address from which it downloads in a field that it does not show.
func TestDefaultRepository(t *testing.T) {
	t.Parallel()
	if from := defaultRepository(); !strings.HasPrefix(from, "https://") {
		t.Errorf("it downloads from %q", from)
	}
}
