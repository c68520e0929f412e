package test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/standalone/issuer"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/vault"
)

// Each service in a process of its own, by the commands that compose uses.
func TestSeparateProcesses(t *testing.T) {
	t.Parallel()
	h := newSystem(t, "ADMIN_ADDR=127.0.0.1:0")
	server, err := natsd.Start(natsd.Options{StoreDir: t.TempDir(), Host: "127.0.0.1", Port: h.ports["NATS_PORT"], SyncAlways: true, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	keyset, err := vault.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	people := httptest.NewUnstartedServer(nil)
	who, err := issuer.New("http://" + people.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	people.Config.Handler = who.Handler()
	people.Start()
	t.Cleanup(people.Close)
	h.ports["ISSUER_PORT"] = people.Listener.Addr().(*net.TCPAddr).Port
	h.env = append(h.env, "NATS_URL="+server.ClientURL(), "TOKEN_KEYSET="+string(keyset), "AUTH_ISSUER="+who.URL(),
		"THREADS_APP_ID=4242", "THREADS_APP_SECRET=s3cret", "THREADS_API_URL="+h.url("SIMULATOR_PORT"), "THREADS_AUTHORIZE_URL="+h.url("SIMULATOR_PORT")+"/oauth/authorize",
		"THREADS_REDIRECT_URI="+h.url("PORT")+"/api/auth/threads/callback", "THREADS_SUCCESS_REDIRECT_URI=http://localhost:5173/profile",
		"THREADS_FAILURE_REDIRECT_URI=http://localhost:5173/profile?error=threads_oauth_failed")

	early := h.run("publisher") // before migrate: it must say what to do, not half work
	if err := early.Wait(); err == nil || !strings.Contains(h.log.String(), "run the command migrate") {
		t.Errorf("a publisher without tables ends with %v", err)
	}
	if err := h.run("migrate").Wait(); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	var running []*exec.Cmd
	for _, words := range [][]string{
		{"simulator", "--quick", "--addr", strings.TrimPrefix(h.url("SIMULATOR_PORT"), "http://"), "--app-id", "4242", "--app-secret", "s3cret", "--auto-approve"},
		{"auth"}, {"publisher"}, {"tokenkeeper"}, {"gateway"},
	} {
		cmd := h.run(words...)
		running = append(running, cmd)
		t.Cleanup(func() { _ = cmd.Process.Kill() })
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
	for _, cmd := range running {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v ends with %v", cmd.Args[1:], err)
		}
	}
}
