package process_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/omni-write/threads/internal/process"
)

func TestAdmin(t *testing.T) {
	t.Parallel()
	healthy := process.Check{Name: "nats", Ready: func(context.Context) error { return nil }}
	sick := process.Check{Name: "postgres", Ready: func(context.Context) error { return errors.New("postgres does not answer") }}

	setup := func(t *testing.T, checks ...process.Check) (addr string, get func(path string) (int, string)) {
		t.Helper()
		srv := httptest.NewServer(process.AdminHandler(checks...))
		t.Cleanup(srv.Close)
		return strings.TrimPrefix(srv.URL, "http://"), func(path string) (int, string) {
			t.Helper()
			resp, err := http.Get(srv.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, string(body)
		}
	}

	t.Run("is ready when every check holds", func(t *testing.T) {
		t.Parallel()
		addr, get := setup(t, healthy)
		if status, body := get("/readyz"); status != http.StatusOK || !strings.Contains(body, `"ready":true`) {
			t.Errorf("%d %s", status, body)
		}
		if err := process.HealthCheck(t.Context(), addr); err != nil {
			t.Error(err)
		}
	})

	t.Run("gives profiles of the process", func(t *testing.T) {
		t.Parallel()
		_, get := setup(t, healthy)
		for path, says := range map[string]string{
			"/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile:", "/debug/pprof/heap?debug=1": "heap profile:",
		} {
			if status, body := get(path); status != http.StatusOK || !strings.Contains(body, says) {
				t.Errorf("%s: %d %.200s", path, status, body)
			}
		}
	})

	t.Run("names the failing check with its sentence, and lives all the same", func(t *testing.T) {
		t.Parallel()
		addr, get := setup(t, healthy, sick)
		status, body := get("/readyz")
		if status != http.StatusServiceUnavailable || !strings.Contains(body, `{"postgres":"postgres does not answer"}`) {
			t.Errorf("%d %s", status, body)
		}
		if status, _ := get("/livez"); status != http.StatusOK {
			t.Errorf("/livez: %d", status)
		}
		if err := process.HealthCheck(t.Context(), addr); err == nil || !strings.Contains(err.Error(), "postgres: postgres does not answer") {
			t.Error(err)
		}
	})

	t.Run("shows metrics", func(t *testing.T) {
		t.Parallel()
		_, get := setup(t)
		if status, body := get("/metrics"); status != http.StatusOK || !strings.Contains(body, "go_goroutines") {
			t.Errorf("%d %s", status, body)
		}
	})

	t.Run("ends with its context", func(t *testing.T) {
		t.Parallel()
		for _, addr := range []string{"", "127.0.0.1:0"} {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := process.Admin(addr).Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("%q: %v", addr, err)
			}
		}
	})
}
