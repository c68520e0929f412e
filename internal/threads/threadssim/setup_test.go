package threadssim_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads/threadssim"
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a simulator, seen from the wire.
type world struct {
	t      *testing.T
	sim    *threadssim.Sim
	server *httptest.Server
	clock  *clock
	token  string
	userID string
}

// setup mounts a simulator whose containers are ready at once unless the options say otherwise.
func setup(t *testing.T, opts threadssim.Options) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}}
	if opts.Now == nil {
		opts.Now = w.clock.Now
	}
	if opts.Processing == (threadssim.Processing{}) {
		opts.Processing = threadssim.Processing{Text: -1, Image: -1, Video: -1}
	}
	sim, err := threadssim.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	w.sim, w.server = sim, httptest.NewServer(sim)
	t.Cleanup(func() {
		w.server.Close()
		_ = sim.Close()
	})
	w.token, w.userID = w.grant("demo.user")
	return w
}

func (w *world) grant(name string, scopes ...string) (token, userID string) {
	w.t.Helper()
	g, err := w.sim.Token(name, scopes...)
	if err != nil {
		w.t.Fatal(err)
	}
	return g.AccessToken.Reveal(), g.UserID
}

// reply is an answer as a client sees it.
type reply struct {
	status int
	body   map[string]any
	raw    string
	err    error // the connection broke
}

func (r reply) str(key string) string { s, _ := r.body[key].(string); return s }

// code returns "code/subcode" of a Graph error, "" for a success.
func (r reply) code() string {
	e, _ := r.body["error"].(map[string]any)
	if e == nil {
		return ""
	}
	sub := ""
	if n, ok := e["error_subcode"].(json.Number); ok {
		sub = "/" + n.String()
	}
	n, _ := e["code"].(json.Number)
	return n.String() + sub
}

func (w *world) send(method, path, contentType, body string, header ...string) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	r := reply{status: resp.StatusCode, raw: string(raw) + resp.Header.Get("Location"), err: err}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	_ = d.Decode(&r.body)
	return r
}

const form = "application/x-www-form-urlencoded"

func (w *world) post(path string, params ...string) reply {
	w.t.Helper()
	return w.send(http.MethodPost, path, form, pairs(params).Encode(), "Authorization", "Bearer "+w.token)
}

func (w *world) get(path string, params ...string) reply {
	w.t.Helper()
	return w.send(http.MethodGet, path+"?"+pairs(params).Encode(), "", "", "Authorization", "Bearer "+w.token)
}

func (w *world) delete(path string) reply {
	w.t.Helper()
	return w.send(http.MethodDelete, path, "", "", "Authorization", "Bearer "+w.token)
}

func pairs(kv []string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(kv); i += 2 {
		v.Set(kv[i], kv[i+1])
	}
	return v
}

// create makes a container that must come about.
func (w *world) create(params ...string) string {
	w.t.Helper()
	r := w.post("/v1.0/me/threads", params...)
	if r.status != http.StatusOK {
		w.t.Fatalf("create %v: %d %s", params, r.status, r.raw)
	}
	return r.str("id")
}

// publish makes a post that must come about.
func (w *world) publish(params ...string) string {
	w.t.Helper()
	r := w.post("/v1.0/me/threads_publish", "creation_id", w.create(params...))
	if r.status != http.StatusOK {
		w.t.Fatalf("publish %v: %d %s", params, r.status, r.raw)
	}
	return r.str("id")
}

// refused checks an answer that must be a refusal.
func refused(t *testing.T, r reply, status int, code string) {
	t.Helper()
	if r.err != nil || r.status != status || r.code() != code {
		t.Errorf("got %d %q (%v), want %d %q\n%s", r.status, r.code(), r.err, status, code, r.raw)
	}
}
