package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/uptrace/bun"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/internal/vault/vaulttest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const redirectURI = "https://api.example/api/auth/threads/callback"

// env is an auth on real NATS and Postgres, before a simulated Threads.
type env struct {
	*testing.T
	svc   *Service
	bus   *bus.Bus
	db    *bun.DB
	vault *vault.Vault
	sim   *threadssim.Sim
	wire  *wire
	logs  *observer.ObservedLogs
}

// wire stands between auth and Threads. It notes the tokens that pass, and a test may answer a call itself.
type wire struct {
	sim http.Handler

	mu     sync.Mutex
	tokens []string
	calls  map[string]int
	// instead answers in Threads' place, when it is set and returns true.
	instead func(w http.ResponseWriter, r *http.Request) bool
}

func (x *wire) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	x.calls[r.URL.Path]++
	instead := x.instead
	x.mu.Unlock()
	if instead != nil && instead(w, r) {
		return
	}
	seen := &tee{ResponseWriter: w}
	x.sim.ServeHTTP(seen, r)
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(seen.body.Bytes(), &answer) == nil && answer.AccessToken != "" {
		x.mu.Lock()
		x.tokens = append(x.tokens, answer.AccessToken)
		x.mu.Unlock()
	}
}

func (x *wire) set(instead func(w http.ResponseWriter, r *http.Request) bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.instead = instead
}

func (x *wire) count(path string) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.calls[path]
}

// tee keeps what is answered. It passes Hijack on, with which the simulator cuts connections.
type tee struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (t *tee) Write(b []byte) (int, error) { t.body.Write(b); return t.ResponseWriter.Write(b) }
func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func setup(t *testing.T) *env {
	t.Parallel()
	w := prepare(t)
	w.run()
	return w
}

// prepare is the world before auth runs in it.
func prepare(t *testing.T) *env {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	log := zap.New(core)

	b, err := bus.Connect(t.Context(), bus.Config{
		Name: "test", Options: []nats.Option{bustest.Server(t, t.TempDir()).InProcess()}, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	if err := bus.Declare(t.Context(), b, bus.Topology{}); err != nil {
		t.Fatal(err)
	}

	sim, err := threadssim.New(threadssim.Options{RedirectURIs: []string{redirectURI}, AutoApprove: true})
	if err != nil {
		t.Fatal(err)
	}
	between := &wire{sim: sim, calls: map[string]int{}}
	web := httptest.NewServer(between)
	t.Cleanup(web.Close)

	vars := map[string]string{
		"THREADS_APP_ID": threadssim.DefaultAppID, "THREADS_APP_SECRET": threadssim.DefaultAppSecret,
		"THREADS_REDIRECT_URI": redirectURI, "THREADS_API_URL": web.URL, "THREADS_AUTHORIZE_URL": web.URL + "/oauth/authorize",
	}
	cfg, err := ConfigFromEnv(func(name string) string { return vars[name] })
	if err != nil {
		t.Fatal(err)
	}
	vault := vaulttest.New(t)
	db := pgtest.New(t)
	svc := New(cfg, Deps{Bus: b, DB: db, Threads: threads.New(cfg.Threads()), Vault: vault, Log: log})
	return &env{T: t, svc: svc, bus: b, db: db, vault: vault, sim: sim, wire: between, logs: logs}
}

// run runs auth until the test ends, and returns when it is ready.
func (w *env) run() {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.svc.Run(ctx) }()
	w.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("auth ended with %v", err)
		}
	})
	waiting.Until(w, "auth is ready", func() bool { return w.svc.Ready(ctx) == nil })
}

func ask[A any](w *env, q asks.Question) (A, error) {
	return bus.Ask[A](waiting.Context(w), w.bus, q)
}

func must[A any](w *env, q asks.Question) A {
	w.Helper()
	a, err := ask[A](w, q)
	if err != nil {
		w.Fatalf("%s: %v", q.Subject(), err)
	}
	return a
}

// begin opens the flow for a user, as a browser with a ticket does.
func (w *env) begin(user string) asks.OAuthBegun {
	w.Helper()
	ticket := must[asks.Ticket](w, asks.IssueTicket{UserID: user})
	return must[asks.OAuthBegun](w, asks.BeginOAuth{Ticket: ticket.Ticket})
}

// allow is a person who presses Allow at Threads; what comes back goes to finish. Without scopes all are granted.
func (w *env) allow(begun asks.OAuthBegun, username string, scopes ...string) asks.FinishOAuth {
	w.Helper()
	u, err := url.Parse(begun.AuthorizeURL)
	if err != nil {
		w.Fatal(err)
	}
	q := u.Query()
	q.Set("username", username)
	if len(scopes) > 0 {
		q.Set("scope", strings.Join(scopes, ","))
	}
	u.RawQuery = q.Encode()
	return w.cameBack(begun, func(c *http.Client) (*http.Response, error) { return c.Get(u.String()) })
}

// deny is a person who presses Cancel.
func (w *env) deny(begun asks.OAuthBegun) asks.FinishOAuth {
	w.Helper()
	u, err := url.Parse(begun.AuthorizeURL)
	if err != nil {
		w.Fatal(err)
	}
	form := u.Query()
	form.Set("decision", "deny")
	u.RawQuery = ""
	return w.cameBack(begun, func(c *http.Client) (*http.Response, error) { return c.PostForm(u.String(), form) })
}

func (w *env) cameBack(begun asks.OAuthBegun, visit func(*http.Client) (*http.Response, error)) asks.FinishOAuth {
	w.Helper()
	stay := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := visit(stay)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		w.Fatalf("threads did not send the browser back: %s", resp.Status)
	}
	q := to.Query()
	return asks.FinishOAuth{State: q.Get("state"), Cookie: begun.Cookie, Code: q.Get("code"), Error: q.Get("error")}
}

// connect is the whole flow.
func (w *env) connect(user, username string) events.Connection {
	w.Helper()
	return must[events.Connection](w, w.allow(w.begin(user), username))
}

// refusedAs checks a fault by its code and the word of its first detail.
func refusedAs(t *testing.T, err error, code events.Code, word string) {
	t.Helper()
	f, ok := errors.AsType[*events.Fault](err)
	if !ok || f.Code != code {
		t.Fatalf("got %v, want a fault %s", err, code)
	}
	if word != "" && (len(f.Details) != 1 || f.Details[0].Code != word) {
		t.Fatalf("details %+v, want %s", f.Details, word)
	}
}
