package standalone_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/uptrace/bun"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/omni-write/threads/cmd/standalone"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/testkit/secretcheck"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const appSecret = "planted-app-secret-8d1f2c"

// system is the whole system in this process, which logs everything it has to say, before a Threads that notes every token
// and code that passes.
type system struct {
	*testing.T
	System *standalone.System
	stop   func() // and waits for its end
	dir    string
	db     *bun.DB
	sim    *threadssim.Sim
	logs   *observer.ObservedLogs
	log    *zap.Logger

	secrets secretcheck.Secrets
	mu      sync.Mutex
	answers secretcheck.Places
}

func newSystem(t *testing.T) *system {
	t.Helper()
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	h := &system{T: t, dir: t.TempDir(), logs: logs, log: zap.New(core), answers: secretcheck.Places{}}
	address := pgtest.URL(t)
	var err error
	if h.db, err = pg.Open(t.Context(), pg.Config{URL: address, Application: "test", MaxConns: 4}, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.db.Close() })
	knobs := threadssim.Quick()
	knobs.RefreshTooYoung = "allow" // the test makes tokens older than they are
	if h.sim, err = threadssim.New(threadssim.Options{AppSecret: appSecret, AutoApprove: true, Knobs: &knobs}); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(h.overhear))
	t.Cleanup(web.Close)
	env := map[string]string{
		"STATE_DIR": h.dir, "DATABASE_URL": address, "LOG_LEVEL": "debug", "CORS_ORIGINS": "http://localhost:1", "TOKENKEEPER_RESEAL": "1s",
		"THREADS_APP_ID": threadssim.DefaultAppID, "THREADS_APP_SECRET": appSecret,
		"THREADS_API_URL": web.URL, "THREADS_AUTHORIZE_URL": web.URL + "/oauth/authorize",
	}
	ctx, stop := context.WithCancel(context.Background())
	if h.System, err = standalone.Start(ctx, func(name string) string { return env[name] }, h.log); err != nil {
		stop()
		t.Fatal(err)
	}
	up, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- h.System.Run(ctx, func(context.Context) error { close(up); return nil }) }()
	h.stop = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil && ctx.Err() == nil {
			t.Errorf("the system ended with %v", err)
		}
	})
	t.Cleanup(h.stop)
	select {
	case <-up:
	case err := <-ended:
		ended <- nil // for the end of the test, which waits for it as well
		t.Fatalf("the system ended with %v", err)
	}
	h.secrets.Add("app secret", appSecret)
	return h
}

// overhear notes what secrets go to Threads and come from it.
func (h *system) overhear(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a cut request is a request too
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, _ := url.ParseQuery(string(body))
	for _, name := range []string{"access_token", "code", "input_token"} {
		h.secrets.Add(name, form.Get(name))
		h.secrets.Add(name, r.URL.Query().Get(name))
	}
	h.secrets.Add("bearer token to Threads", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	seen := &tee{ResponseWriter: w}
	h.sim.ServeHTTP(seen, r)
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(seen.body, &answer) == nil {
		h.secrets.Add("token from Threads", answer.AccessToken)
	}
}

type tee struct {
	http.ResponseWriter
	body []byte
}

func (t *tee) Write(b []byte) (int, error) {
	t.body = append(t.body, b...)
	return t.ResponseWriter.Write(b)
}
func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// call makes a request as a user, and keeps its answer for the search unless it is one that hands a secret to its owner.
func (h *system) call(user, method, path string, body any, handsOut ...bool) (int, []byte) {
	h.Helper()
	token, err := h.System.Endpoints.Token(user)
	if err != nil {
		h.Fatal(err)
	}
	h.secrets.Add("bearer token of a user", token)
	var payload io.Reader
	if body != nil {
		text, ok := body.(string)
		if !ok {
			b, err := json.Marshal(body)
			if err != nil {
				h.Fatal(err)
			}
			text = string(b)
		}
		payload = strings.NewReader(text)
	}
	req, err := http.NewRequestWithContext(h.Context(), method, h.System.Endpoints.GatewayURL+path, payload)
	if err != nil {
		h.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	if payload != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		h.Fatal(err)
	}
	if len(handsOut) == 0 {
		h.keep(fmt.Sprint(method, " ", strings.SplitN(path, "?", 2)[0], " ", resp.StatusCode), resp.Header, string(answer))
	}
	return resp.StatusCode, answer
}

func (h *system) keep(what string, header http.Header, body string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers[fmt.Sprintf("answer %d: %s", len(h.answers), what)] = fmt.Sprint(header, body)
}

// must is call where only the given status is right.
func (h *system) must(status int, user, method, path string, body any, into any) {
	h.Helper()
	got, answer := h.call(user, method, path, body)
	if got != status {
		h.Fatalf("%s %s answered %d, want %d: %s", method, path, got, status, answer)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			h.Fatal(err)
		}
	}
}

// oauth is a browser's way from Connect to the frontend's page, the query of which it returns. All that passes through the
// browser is noted. replay says how often the last step is made again.
func (h *system) oauth(user, name string, replay int) url.Values {
	h.Helper()
	status, answer := h.call(user, http.MethodGet, "/api/auth/threads", nil, true)
	var begun struct {
		AuthorizationURL string `json:"authorizationUrl"`
	}
	if err := json.Unmarshal(answer, &begun); err != nil || status != http.StatusOK {
		h.Fatalf("%d %s", status, answer)
	}
	h.note(begun.AuthorizationURL)
	toThreads, cookies := h.visit(begun.AuthorizationURL, nil)
	h.note(toThreads)
	for _, c := range cookies {
		h.secrets.Add("cookie", c.Value)
	}
	u, err := url.Parse(toThreads)
	if err != nil {
		h.Fatal(err)
	}
	q := u.Query()
	q.Set("username", name)
	u.RawQuery = q.Encode()
	back, _ := h.visit(u.String(), nil)
	h.note(back)
	end, _ := h.visit(back, cookies)
	for range replay {
		again, _ := h.visit(back, cookies)
		h.keep("the end of a replayed oauth", nil, again)
	}
	h.note(end)
	at, err := url.Parse(end)
	if err != nil {
		h.Fatal(err)
	}
	code := at.Query().Get("connectCode")
	h.keep("the end of a oauth", nil, strings.ReplaceAll(end, "connectCode="+code, "")) // the code is handed to its owner here
	if code != "" {
		finish := map[string]any{"code": code}
		h.must(http.StatusOK, user, http.MethodPost, "/api/threads/connect/finish", finish, nil)
		h.must(http.StatusUnprocessableEntity, user, http.MethodPost, "/api/threads/connect/finish", finish, nil)
	}
	return at.Query()
}

// note takes the secrets out of an address.
func (h *system) note(address string) {
	h.Helper()
	u, err := url.Parse(address)
	if err != nil {
		h.Fatal(err)
	}
	for _, name := range []string{"ticket", "state", "code", "connectCode"} {
		h.secrets.Add(name, u.Query().Get(name))
	}
}

// visit opens an address and returns where it leads.
func (h *system) visit(address string, cookies []*http.Cookie) (string, []*http.Cookie) {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), http.MethodGet, address, nil)
	if err != nil {
		h.Fatal(err)
	}
	for _, c := range cookies {
		req.AddCookie(c)
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusFound && resp.StatusCode != http.StatusSeeOther {
		body, _ := io.ReadAll(resp.Body)
		h.Fatalf("%s answered %s: %s", req.URL.Path, resp.Status, body)
	}
	return resp.Header.Get("Location"), resp.Cookies()
}

// connect is a oauth that must succeed.
func (h *system) connect(user, name string) {
	h.Helper()
	if q := h.oauth(user, name, 0); q.Has("error") || q.Has("reason") {
		h.Fatalf("not connected: %v", q)
	}
}

// aged makes every token of ours older than it is, so that it may be refreshed.
func (h *system) aged() {
	h.Helper()
	if _, err := h.db.NewRaw("UPDATE social_connections SET token_issued_at = token_issued_at - interval '25 hours'").Exec(h.Context()); err != nil {
		h.Fatal(err)
	}
}

func (h *system) keysetPath() string { return filepath.Join(h.dir, "keyset.json") }

// everything is all that the system has stored, logged and answered.
func (h *system) everything() secretcheck.Places {
	h.Helper()
	all := secretcheck.Places{}
	gather := func(in secretcheck.Places, err error) {
		h.Helper()
		if err != nil {
			h.Fatal(err)
		}
		if len(in) < 5 {
			h.Fatalf("only %d places: the search looks at the wrong one", len(in))
		}
		all.Add(in)
	}
	gather(secretcheck.Postgres(h.Context(), h.db))
	gather(secretcheck.NATS(h.Context(), h.System.Endpoints.JetStream))
	gather(secretcheck.Files(filepath.Join(h.dir, "nats")))
	gather(secretcheck.Logs(h.logs.All()))
	h.mu.Lock()
	defer h.mu.Unlock()
	gather(h.answers, nil)
	return all
}
