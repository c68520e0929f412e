package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/standalone/issuer"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/services/gateway"
	"github.com/omni-write/threads/services/gateway/edge"
)

// system is a gateway over real HTTP and real NATS. Its neighbours are whatever the test lets answer.
type system struct {
	bus   *bus.Bus
	url   string
	token string // of user ada
}

const ada = "user_ada"

func setup(t *testing.T, changes ...func(*gateway.Config)) *system {
	t.Helper()
	var who *issuer.Issuer
	id := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { who.Handler().ServeHTTP(w, r) }))
	t.Cleanup(id.Close)
	who, err := issuer.New(id.URL)
	if err != nil {
		t.Fatal(err)
	}
	token, err := who.Token(ada, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	h := &system{bus: bustest.New(t), token: token}
	h.url = serve(t, h.bus, append([]func(*gateway.Config){func(c *gateway.Config) { c.AuthIssuer = id.URL }}, changes...)...)
	return h
}

// serve runs a gateway and returns its address.
func serve(t *testing.T, b *bus.Bus, changes ...func(*gateway.Config)) string {
	t.Helper()
	return serveLogging(t, b, zap.NewNop(), changes...)
}

func serveLogging(t *testing.T, b *bus.Bus, log *zap.Logger, changes ...func(*gateway.Config)) string {
	t.Helper()
	return serveService(t, b, log, true, changes...)
}

// serveWithoutKeys runs a gateway that has not read the issuer's keys yet.
func serveWithoutKeys(t *testing.T, b *bus.Bus, changes ...func(*gateway.Config)) string {
	t.Helper()
	return serveService(t, b, zap.NewNop(), false, changes...)
}

func serveService(t *testing.T, b *bus.Bus, log *zap.Logger, withKeys bool, changes ...func(*gateway.Config)) string {
	t.Helper()
	cfg := gateway.Config{
		PublicURL:          "http://api.example",
		SuccessRedirectURI: "http://app.example/profile?tab=accounts",
		FailureRedirectURI: "http://app.example/profile?error=threads_oauth_failed",
		AuthIssuer:         "https://clerk.invalid",
		Wait:               30 * time.Second, // as long as it may be
	}
	for _, change := range changes {
		change(&cfg)
	}
	deps := gateway.Deps{Bus: b, Log: log}
	if cfg.RateReads+cfg.RateWrites+cfg.RateAnonymous > 0 { // a bucket does not fill up while a slow machine works
		began := time.Now()
		deps.Now = func() time.Time { return began }
	}
	s, err := gateway.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), waiting.Limit)
	defer cancel()
	for withKeys && strings.HasPrefix(cfg.AuthIssuer, "http://127.0.0.1:") {
		if err := s.ReadKeys(ctx); err == nil {
			break
		} else if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(srv.Close)
	return srv.URL
}

// handle lets a neighbour do commands until the test ends.
func (h *system) handle(t *testing.T, durable string, register func(*bus.Handlers)) {
	t.Helper()
	handlers := bus.NewHandlers()
	register(handlers)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.bus.Handle(ctx, durable, handlers, bus.HandleOptions{}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// answer lets a neighbour answer a kind of question.
func answer[Q asks.Question, A any](t *testing.T, h *system, fn func(Q) (A, error)) {
	t.Helper()
	if err := bus.Answer(h.bus, func(_ context.Context, q Q) (A, error) { return fn(q) }); err != nil {
		t.Fatal(err)
	}
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request as ada. Headers are name, value, name, value; an empty value takes a header away.
func (h *system) do(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // a client would follow redirects
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{status: resp.StatusCode, header: resp.Header, body: got}
}

// A test that looks for a wait that must not be lets its gateway wait for longest, and judges by soon, which leaves a slow machine
// time enough.
const longest, soon = 30 * time.Second, 20 * time.Second

// is fails the test unless the reply has the status, and decodes its body into v.
func (r reply) is(t *testing.T, status int, v any) {
	t.Helper()
	if r.status != status {
		t.Fatalf("got %d, want %d: %s", r.status, status, r.body)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
}

// problem fails the test unless the reply is a well-made problem of this status and code, which points at the fields.
func (r reply) problem(t *testing.T, status int, code string, pointers ...string) edge.Problem {
	t.Helper()
	var p edge.Problem
	r.is(t, status, &p)
	if ct := r.header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("content type %q", ct)
	}
	if p.Status != status || string(p.Code) != code || p.Title == "" || p.Detail == "" || p.RequestID != r.header.Get("X-Request-Id") {
		t.Errorf("%s", r.body)
	}
	for _, want := range pointers {
		if !slices.ContainsFunc(p.Errors, func(f edge.Flaw) bool { return f.Pointer == want && f.Detail != "" && f.Code != "" }) {
			t.Errorf("nothing points at %s: %s", want, r.body)
		}
	}
	return p
}

func TestServiceRun(t *testing.T) {
	t.Parallel()

	t.Run("finishes the request in hand when it is told to stop", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		asked, goOn := make(chan struct{}), make(chan struct{})
		answer(t, h, func(asks.GetProfile) (asks.Profile, error) {
			close(asked)
			<-goOn
			return asks.Profile{ID: "1"}, nil
		})
		id := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(id.Close)
		who, err := issuer.New(id.URL)
		if err != nil {
			t.Fatal(err)
		}
		id.Config.Handler = who.Handler()
		if h.token, err = who.Token(ada, time.Hour); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s, err := gateway.New(gateway.Config{
			PublicURL: "http://api.example", SuccessRedirectURI: "http://app.example", FailureRedirectURI: "http://app.example", AuthIssuer: id.URL,
		}, gateway.Deps{Bus: h.bus, Log: zap.NewNop(), Listener: l})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()

		h.url = "http://" + l.Addr().String()
		got := make(chan reply, 1)
		go func() { got <- h.do(t, http.MethodGet, "/api/threads/me", "") }()
		<-asked
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("not ready: %v", err)
		}
		stop()
		for { // until it takes no new connections
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				break
			}
			_ = c.Close()
		}
		close(goOn)
		if r := <-got; r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	t.Run("is not ready while nobody can sign in", func(t *testing.T) {
		t.Parallel()
		s, err := gateway.New(gateway.Config{
			PublicURL: "http://api.example", SuccessRedirectURI: "http://app.example", FailureRedirectURI: "http://app.example", AuthIssuer: "https://clerk.invalid",
		}, gateway.Deps{Bus: bustest.New(t), Log: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "AUTH_ISSUER") {
			t.Error(err)
		}
	})
}

func TestConfigFromEnv(t *testing.T) {
	t.Parallel()
	valid := map[string]string{
		"THREADS_REDIRECT_URI":         "http://localhost:3000/api/auth/threads/callback",
		"THREADS_SUCCESS_REDIRECT_URI": "http://localhost:5173/profile",
		"THREADS_FAILURE_REDIRECT_URI": "http://localhost:5173/profile?error=threads_oauth_failed",
		"CORS_ORIGINS":                 "http://localhost:5173, https://app.example.com",
		"AUTH_ISSUER":                  "https://clerk.example.com",
	}
	cfg, err := gateway.ConfigFromEnv(func(name string) string { return valid[name] })
	if err != nil || cfg.Port != 3000 || cfg.Wait != 10*time.Second {
		t.Errorf("%+v, %v", cfg, err)
	}

	wrong := map[string]string{
		"PORT": "70000", "WAIT": "2h", "AUTH_ISSUER": "clerk", "CORS_ORIGINS": "https://*.example.com,http://localhost:5173/",
	}
	_, err = gateway.ConfigFromEnv(func(name string) string { return wrong[name] })
	if err == nil {
		t.Fatal("took everything")
	}
	for _, want := range []string{
		"PORT", "WAIT", "AUTH_ISSUER", "THREADS_SUCCESS_REDIRECT_URI is required", "THREADS_FAILURE_REDIRECT_URI is required", "PUBLIC_URL or",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %s in: %v", want, err)
		}
	}
	if n := strings.Count(err.Error(), "CORS_ORIGINS"); n != 2 {
		t.Errorf("%d of 2 wrong origins named in: %v", n, err)
	}
}

func compact(t *testing.T, b []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
