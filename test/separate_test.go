package test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/omni-write/threads/cmd/lab/rig"
	"github.com/omni-write/threads/internal/subprocess"
)

// Each service in a process of its own, by the commands that compose uses.
func TestSeparateProcesses(t *testing.T) {
	t.Parallel()
	h := newSystem(t, "ADMIN_ADDR=127.0.0.1:0")
	parts, err := rig.Open(context.WithoutCancel(t.Context()), rig.Options{
		Name: "separate", Dir: t.TempDir(), DatabaseURL: h.setting("DATABASE_URL"), Unmigrated: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { parts.Close(false) })
	parts.ThreadsURL = h.url("SIMULATOR_PORT")
	h.ports["NATS_PORT"] = portOf(t, parts.NATSURL)
	h.serveIssuer()
	h.env = append(append(h.env, parts.Env()...), "AUTH_ISSUER="+h.url("ISSUER_PORT"),
		"THREADS_APP_ID=4242", "THREADS_APP_SECRET=s3cret", "THREADS_AUTHORIZE_URL="+h.url("SIMULATOR_PORT")+"/oauth/authorize",
		"THREADS_REDIRECT_URI="+h.url("PORT")+"/api/auth/threads/callback", "THREADS_SUCCESS_REDIRECT_URI=http://localhost:5173/profile",
		"THREADS_FAILURE_REDIRECT_URI=http://localhost:5173/profile?error=threads_oauth_failed")

	early := h.run("publisher") // before migrate: it must say what to do, not half work
	if err := early.Wait(); err == nil || !strings.Contains(h.log.String(), "run the command migrate") {
		t.Errorf("a publisher without tables ends with %v", err)
	}
	if err := h.run("migrate").Wait(); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	var running []*subprocess.Process
	for _, words := range [][]string{
		{"simulator", "--quick", "--addr", strings.TrimPrefix(h.url("SIMULATOR_PORT"), "http://"), "--app-id", "4242", "--app-secret", "s3cret", "--auto-approve"},
		{"auth"}, {"publisher"}, {"tokenkeeper"}, {"gateway"},
	} {
		running = append(running, h.run(words...))
	}
	h.answers(h.url("PORT") + "/openapi.json")
	h.eventually("the account to be connected", func() error {
		if h.token == "" || h.call(http.MethodGet, h.url("PORT")+"/api/threads/me", nil, nil) != http.StatusOK {
			h.tryConnect()
			return fmt.Errorf("not yet")
		}
		return nil
	})
	h.posted(h.schedule("from four processes", 2*time.Second))
	for _, p := range running {
		if err := p.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(); err != nil {
			t.Errorf("%v ends with %v", p, err)
		}
	}
}
