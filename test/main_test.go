// Package test has the tests of the whole program, a file for each law or promise that they guard. They run it as child
// processes, which are this test's own binary: what runs has the race detector, too, where the tests have it.
package test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd"
	"github.com/omni-write/threads/cmd/standalone/issuer"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/pg/pgtest"
)

// asChild in the environment makes this binary the program.
const asChild = "THREADS_TEST_AS_PROGRAM"

var program = func() string {
	file, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return file
}()

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		os.Exit(cmd.Main())
	}
	if dir := os.Getenv(asNATS); dir != "" {
		if err := serveNATS(dir, os.Getenv("PORT")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if err := os.Chdir(".."); err != nil { // paths in these tests are those of the repository
		panic(err)
	}
	pgtest.Main(m)
}

func TestKilled(t *testing.T) {
	t.Parallel()

	t.Run("between schedule and due time, it goes out once", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		h.start()
		h.connect()
		p := h.schedule("killed while waiting", 3*time.Second)
		h.kill()
		h.start()
		h.posted(p)
	})

	t.Run("while its time passes, it goes out once after the restart", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		h.start()
		h.connect()
		p := h.schedule("killed over its time", time.Second)
		h.kill()
		<-time.After(time.Until(p.ScheduledAt.Add(500 * time.Millisecond)))
		h.start()
		h.posted(p)
	})

	t.Run("between the publish call and the noted answer, it is on Threads once and told once", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, "PUBLISHER_LEASE=5s")
		h.start()
		h.connect()
		p := h.schedule("killed in the call", 2*time.Second)
		// The post is live, and the answer does not come: the process dies waiting for it.
		h.call(http.MethodPost, h.url("SIMULATOR_PORT")+"/_sim/faults", map[string]any{"op": "publish", "kind": "latency", "delay_ms": 60_000}, nil)
		h.eventually("Threads to have the post", func() error {
			if len(h.arrivals(p.Text)) == 0 {
				return fmt.Errorf("not yet")
			}
			return nil
		})
		h.kill()
		h.start()
		h.posted(p)
	})
}

// Each service in a process of its own, by the commands that compose uses.
func TestSeparateProcesses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "ADMIN_ADDR=127.0.0.1:0")
	server, err := natsd.Start(natsd.Options{StoreDir: t.TempDir(), Host: "127.0.0.1", Port: h.ports["NATS_PORT"], SyncAlways: true, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	keyset, err := accounts.NewKeyset()
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

func TestStopsCleanly(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start()
	if err := h.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Wait(); err != nil {
		t.Errorf("Ctrl-C ends it with %v", err)
	}
	h.cmd = nil
	if strings.Contains(h.log.String(), `"level":"error"`) {
		t.Error("it complained while stopping")
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cmd := exec.Command(program, "demo", "--exit")
	cmd.Env = h.env
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("the demo ended with %v", err)
	}
	for _, word := range []string{"AccountConnected", "PostScheduled", "PostPublished", "PostCancelled", "PostDeleted", "ms late"} {
		if !bytes.Contains(out, []byte(word)) {
			t.Errorf("the story does not say %s", word)
		}
	}
	if bytes.Contains(out, []byte("curl")) {
		t.Error("it says how to go on with a house that is gone")
	}
}
