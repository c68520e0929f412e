package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/cmd/lab/rig"
	"github.com/omni-write/threads/cmd/standalone/walkthrough"
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/subprocess"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// system is the program running standalone in a process of its own.
type system struct {
	t     *testing.T
	env   []string
	ports map[string]int
	token string

	main     *subprocess.Process // nil while it is down
	log      *subprocess.Output
	patience time.Duration // of eventually
	// otherVersions says that messages of other versions lie on its streams, which today's contract does not cover.
	otherVersions bool
}

func newSystem(t *testing.T, settings ...string) *system {
	t.Helper()
	h := newProgram(t, "DATABASE_URL="+pgtest.EmptyURL(t), "STATE_DIR="+filepath.Join(t.TempDir(), "state"), "LOG_FORMAT=json")
	for _, name := range []string{"PORT", "NATS_PORT", "SIMULATOR_PORT", "ISSUER_PORT", "ADMIN_PORT"} {
		h.ports[name] = freePort(t)
		h.env = append(h.env, name+"="+strconv.Itoa(h.ports[name]))
	}
	h.env = append(h.env, settings...)
	t.Cleanup(h.keptContract)
	return h
}

// newProgram is the program with our own settings and some more, for any of its commands.
func newProgram(t *testing.T, settings ...string) *system {
	t.Helper()
	h := &system{t: t, env: append(os.Environ(), settings...), ports: map[string]int{}, log: new(subprocess.Output), patience: 2 * time.Minute}
	t.Cleanup(func() {
		h.kill()
		if t.Failed() {
			t.Log(h.log.String())
		}
	})
	return h
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := rig.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (h *system) url(port string) string { return fmt.Sprintf("http://127.0.0.1:%d", h.ports[port]) }

func (h *system) start() {
	h.t.Helper()
	h.main = h.run()
	h.up()
}

// run runs the program with the words given.
func (h *system) run(words ...string) *subprocess.Process {
	h.t.Helper()
	return h.child(subprocess.Command{Words: words, Env: h.env, Out: h.log, Log: h.log})
}

// child starts a process that ends with the test.
func (h *system) child(c subprocess.Command) *subprocess.Process {
	h.t.Helper()
	p, err := subprocess.Start(context.WithoutCancel(h.t.Context()), c) // what ends with the test looks at it first
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(p.Kill)
	return p
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
	if h.main != nil {
		h.main.Kill()
		h.main = nil
	}
}

func (h *system) eventually(what string, check func() error) {
	h.t.Helper()
	if err := rig.Within(context.WithoutCancel(h.t.Context()), h.patience, what, func(context.Context) error { return check() }); err != nil {
		h.t.Fatal(err)
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

// posted waits until the row says POSTED, and checks that Threads has the post once, EVENTS has it once, and nothing was
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

// events are the events of a post on EVENTS, in their order.
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

// serveIssuer serves an issuer of tokens at ISSUER_PORT.
func (h *system) serveIssuer() {
	h.t.Helper()
	people, stop, err := rig.ServeIssuer()
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(stop)
	h.ports["ISSUER_PORT"] = portOf(h.t, people.URL())
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(at.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
