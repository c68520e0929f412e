package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/cmd/standalone/walkthrough"
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// system is the program running standalone in a process of its own.
type system struct {
	t     *testing.T
	env   []string
	ports map[string]int
	token string

	cmd      *exec.Cmd
	log      *lockedBuffer
	patience time.Duration // of eventually
	// otherVersions says that messages of other versions lie on its streams, which today's contract does not cover.
	otherVersions bool
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

func newSystem(t *testing.T, settings ...string) *system {
	t.Helper()
	h := &system{t: t, ports: map[string]int{}, log: &lockedBuffer{}, patience: 2 * time.Minute}
	h.env = append(os.Environ(), asChild+"=1", "DATABASE_URL="+pgtest.EmptyURL(t),
		"STATE_DIR="+filepath.Join(t.TempDir(), "state"), "LOG_FORMAT=json")
	for _, name := range []string{"PORT", "NATS_PORT", "SIMULATOR_PORT", "ISSUER_PORT", "ADMIN_PORT"} {
		h.ports[name] = freePort()
		h.env = append(h.env, name+"="+strconv.Itoa(h.ports[name]))
	}
	h.env = append(h.env, settings...)
	t.Cleanup(func() {
		h.keptContract()
		h.kill()
		if t.Failed() {
			t.Log(h.log.String())
		}
	})
	return h
}

// lastPort counts through ports below those that the system gives to outgoing connections: a system that was killed must
// find its own free again.
var lastPort = func() *atomic.Int64 { n := new(atomic.Int64); n.Store(rand.Int64N(10_000)); return n }()

func freePort() int {
	for {
		port := 20_000 + int(lastPort.Add(1)%10_000)
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			_ = l.Close()
			return port
		}
	}
}

func (h *system) url(port string) string { return fmt.Sprintf("http://127.0.0.1:%d", h.ports[port]) }

func (h *system) start() {
	h.t.Helper()
	h.cmd = h.run()
	h.up()
}

// run runs the program with the words given.
func (h *system) run(words ...string) *exec.Cmd {
	h.t.Helper()
	cmd := exec.Command(program, words...)
	cmd.Env, cmd.Stdout, cmd.Stderr = h.env, h.log, h.log
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	return cmd
}

// up waits until every part of the system says that it may be relied on.
func (h *system) up() {
	h.t.Helper()
	h.answers(h.url("ADMIN_PORT") + "/readyz")
}

// answers waits until an address answers 200.
func (h *system) answers(url string) {
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
func (h *system) kill() {
	if h.cmd == nil || h.cmd.Process == nil {
		return
	}
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
	h.cmd = nil
}

func (h *system) eventually(what string, check func() error) {
	h.t.Helper()
	deadline := time.Now().Add(h.patience)
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
func (h *system) call(method, url string, body, out any) (status int) {
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

// connect signs in and goes through the OAuth flow.
func (h *system) connect() {
	h.t.Helper()
	if end, err := h.tryConnect(); err != nil || strings.Contains(end, "error=") {
		h.t.Fatalf("the flow ended at %s: %v", end, err)
	}
}

func (h *system) tryConnect() (end string, err error) {
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
	ctx, cancel := context.WithTimeout(h.t.Context(), waiting.Limit)
	defer cancel()
	if end, err = walkthrough.Browse(ctx, begun.AuthorizationURL); err != nil {
		return end, err
	}
	h.finish(end)
	return end, nil
}

// finish confirms, as whoever is signed in, the connection with which a browser came back, if it did.
func (h *system) finish(end string) {
	h.t.Helper()
	at, err := url.Parse(end)
	if err != nil {
		h.t.Fatal(err)
	}
	if code := at.Query().Get("connectCode"); code != "" {
		if status := h.call(http.MethodPost, h.url("PORT")+"/api/threads/connect/finish", map[string]any{"code": code}, nil); status != http.StatusOK {
			h.t.Fatalf("finishing answered %d", status)
		}
	}
}

func (h *system) schedule(text string, in time.Duration) (p events.Post) {
	h.t.Helper()
	status := h.call(http.MethodPost, h.url("PORT")+"/api/threads/post/schedule",
		map[string]any{"text": text, "scheduledAt": time.Now().Add(in).UTC().Format(time.RFC3339Nano)}, &p)
	if status != http.StatusCreated {
		h.t.Fatalf("scheduling answered %d", status)
	}
	return p
}

// arrivals is what the simulator committed with this text.
func (h *system) arrivals(text string) (at []time.Time) {
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

// posted waits until the row says POSTED, and checks that Threads has the post once, EVENTS tells it once, and nothing was
// early.
func (h *system) posted(p events.Post) {
	h.t.Helper()
	var row asks.PostDetail
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
func (h *system) told(id string) (n int) {
	h.t.Helper()
	for _, ev := range h.facts(id) {
		if ev.Fact() == events.FactPublished {
			n++
		}
	}
	return n
}

// facts are the facts of a post on EVENTS, in their order.
func (h *system) facts(id string) (facts []events.PostEvent) {
	h.t.Helper()
	s, err := h.jetStream().Stream(h.t.Context(), events.StreamEvents)
	if err != nil {
		h.t.Fatal(err)
	}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(h.t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) { // erased
			continue
		}
		if err != nil {
			h.t.Fatal(err)
		}
		ev, err := events.Decode(m.Header.Get(events.HeaderType), m.Data)
		if h.otherVersions && errors.Is(err, events.ErrUnknownType) {
			continue
		}
		if err != nil {
			h.t.Fatal(err)
		}
		if ev, ok := ev.(events.PostEvent); ok && ev.Snapshot().ID == id {
			facts = append(facts, ev)
		}
	}
	return facts
}

// jetStream is a connection to the system's NATS from outside.
func (h *system) jetStream() jetstream.JetStream {
	h.t.Helper()
	nc, js := h.outside()
	h.t.Cleanup(nc.Close)
	return js
}

func (h *system) outside() (*nats.Conn, jetstream.JetStream) {
	h.t.Helper()
	nc, err := nats.Connect(h.natsURL())
	if err != nil {
		h.t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		h.t.Fatal(err)
	}
	return nc, js
}

// natsURL is where its NATS is, with the password that the file beside it has.
func (h *system) natsURL() string {
	h.t.Helper()
	at := fmt.Sprintf("127.0.0.1:%d", h.ports["NATS_PORT"])
	password, err := os.ReadFile(filepath.Join(h.setting("STATE_DIR"), "nats-password"))
	if errors.Is(err, os.ErrNotExist) { // a server of the test's own
		return "nats://" + at
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return "nats://" + natsd.User + ":" + strings.TrimSpace(string(password)) + "@" + at
}
