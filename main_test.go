package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/services/standalone/demo"
	"github.com/omni-write/threads/services/standalone/issuer"
)

// The tests of the whole program run it as a child process: themselves, under this name in the environment.
const asChild = "THREADS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		main()
		os.Exit(0)
	}
	pgtest.Main(m)
}

// house is the program running standalone in a process of its own.
type house struct {
	t     *testing.T
	env   []string
	ports map[string]int
	token string

	cmd *exec.Cmd
	log *lockedBuffer
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // not embedded: its ReadFrom would go past the lock
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newHouse(t *testing.T, settings ...string) *house {
	t.Helper()
	h := &house{t: t, ports: map[string]int{}, log: &lockedBuffer{}}
	h.env = append(os.Environ(), asChild+"=1", "DATABASE_URL="+pgtest.EmptyURL(t), "STATE_DIR="+filepath.Join(t.TempDir(), "state"), "LOG_FORMAT=json")
	for _, name := range []string{"PORT", "NATS_PORT", "SIMULATOR_PORT", "ISSUER_PORT", "ADMIN_PORT"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		h.ports[name] = l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		h.env = append(h.env, name+"="+strconv.Itoa(h.ports[name]))
	}
	h.env = append(h.env, settings...)
	t.Cleanup(func() {
		h.kill()
		if t.Failed() {
			t.Log(h.log.String())
		}
	})
	return h
}

func (h *house) url(port string) string { return fmt.Sprintf("http://127.0.0.1:%d", h.ports[port]) }

func (h *house) start() {
	h.t.Helper()
	h.cmd = h.run()
	h.up()
}

// run runs the program with the words given.
func (h *house) run(words ...string) *exec.Cmd {
	h.t.Helper()
	cmd := exec.Command(os.Args[0], words...)
	cmd.Env, cmd.Stdout, cmd.Stderr = h.env, h.log, h.log
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	return cmd
}

// up waits until every part of the house says that it may be relied on.
func (h *house) up() {
	h.t.Helper()
	h.answers(h.url("ADMIN_PORT") + "/readyz")
}

// answers waits until an address answers 200.
func (h *house) answers(url string) {
	h.t.Helper()
	h.eventually("an answer of "+url, func() error {
		resp, err := http.Get(url)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
}

// kill is kill -9.
func (h *house) kill() {
	if h.cmd == nil || h.cmd.Process == nil {
		return
	}
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
	h.cmd = nil
}

func (h *house) eventually(what string, check func() error) {
	h.t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("waited in vain for %s: %v", what, err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// call calls the API, or the simulator, and decodes the answer.
func (h *house) call(method, url string, body, out any) (status int) {
	h.t.Helper()
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			h.t.Fatal(err)
		}
		payload = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, url, payload)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			h.t.Fatalf("%s %s answered %s: %s", method, url, resp.Status, answer)
		}
	}
	return resp.StatusCode
}

// connect signs in and goes through the OAuth dance.
func (h *house) connect() {
	h.t.Helper()
	if end, err := h.tryConnect(); err != nil || strings.Contains(end, "error=") {
		h.t.Fatalf("the dance ended at %s: %v", end, err)
	}
}

func (h *house) tryConnect() (end string, err error) {
	h.t.Helper()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	h.call(http.MethodGet, h.url("ISSUER_PORT")+"/token?sub=user_1", nil, &token)
	h.token = token.AccessToken
	var begun struct {
		AuthorizationURL string `json:"authorizationUrl"`
	}
	h.call(http.MethodGet, h.url("PORT")+"/api/auth/threads", nil, &begun)
	ctx, cancel := context.WithTimeout(h.t.Context(), 20*time.Second)
	defer cancel()
	return demo.Browse(ctx, begun.AuthorizationURL)
}

func (h *house) schedule(text string, in time.Duration) (p events.Post) {
	h.t.Helper()
	status := h.call(http.MethodPost, h.url("PORT")+"/api/threads/post/schedule",
		map[string]any{"text": text, "scheduledAt": time.Now().Add(in).UTC().Format(time.RFC3339Nano)}, &p)
	if status != http.StatusCreated {
		h.t.Fatalf("scheduling answered %d", status)
	}
	return p
}

// arrivals is what the simulator committed with this text.
func (h *house) arrivals(text string) (at []time.Time) {
	h.t.Helper()
	var posts struct {
		Data []struct {
			Text      string `json:"text"`
			ArrivedNs int64  `json:"arrived_ns"`
		} `json:"data"`
	}
	h.call(http.MethodGet, h.url("SIMULATOR_PORT")+"/_sim/posts", nil, &posts)
	for _, p := range posts.Data {
		if p.Text == text {
			at = append(at, time.Unix(0, p.ArrivedNs))
		}
	}
	return at
}

// posted waits until the row says POSTED, and checks that Threads has the post once, EVENTS tells it once, and nothing was early.
func (h *house) posted(p events.Post) {
	h.t.Helper()
	var row events.PostDetail
	h.eventually("the post to be POSTED", func() error {
		h.call(http.MethodGet, h.url("PORT")+"/api/threads/post/"+p.ID, nil, &row)
		if row.Status != events.StatusPosted {
			return fmt.Errorf("it is %s (%s), because %v; tried: %+v", row.Status, row.State, row.Reason, row.Attempts)
		}
		return nil
	})
	at := h.arrivals(p.Text)
	if len(at) != 1 {
		h.t.Fatalf("Threads has it %d times", len(at))
	}
	if at[0].Before(p.ScheduledAt) {
		h.t.Errorf("it arrived %s early", p.ScheduledAt.Sub(at[0]))
	}
	if n := h.told(p.ID); n != 1 {
		h.t.Errorf("it was told as published %d times", n)
	}
	if row.PostedTweetID == nil || *row.PostedTweetID == "" {
		h.t.Error("the row has no media id")
	}
}

// told counts the PostPublished of a post on EVENTS, as a subscriber outside the process sees them.
func (h *house) told(id string) (n int) {
	h.t.Helper()
	nc, err := nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", h.ports["NATS_PORT"]))
	if err != nil {
		h.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		h.t.Fatal(err)
	}
	s, err := js.Stream(h.t.Context(), events.StreamEvents)
	if err != nil {
		h.t.Fatal(err)
	}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(h.t.Context(), seq)
		if err != nil {
			h.t.Fatal(err)
		}
		if strings.HasSuffix(m.Subject, "."+id+".published") {
			n++
		}
	}
	return n
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
		{"simulator", "-quick", "-addr", strings.TrimPrefix(h.url("SIMULATOR_PORT"), "http://"), "-app-id", "4242", "-app-secret", "s3cret", "-auto-approve"},
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
	cmd := exec.Command(os.Args[0], "demo", "-exit")
	cmd.Env = h.env
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("the demo ended with %v", err)
	}
	for _, word := range []string{"AccountConnected", "PostScheduled", "PostPublished", "PostCancelled", "PostDeleted", "ms late", "curl"} {
		if !bytes.Contains(out, []byte(word)) {
			t.Errorf("the story does not say %s", word)
		}
	}
}

func TestUnknownWord(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"publsher"}, func(string) string { return "" }, io.Discard)
	if err == nil || !strings.Contains(err.Error(), `no command "publsher"`) {
		t.Errorf("it says %v", err)
	}
}
