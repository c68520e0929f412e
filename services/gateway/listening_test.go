package gateway_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/cmd/standalone/issuer"
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/services/gateway"
)

const (
	acctA = "acct_01jbkq4t00e7x8v5n2m3k9w0ra"
	acctB = "acct_01jbkq4t00e7x8v5n2m3k9w0rb"
)

// fact is one of a user's post.
func fact(user, account string, what events.PostFact, text string) events.Event {
	return events.NewPostEvent(what, events.Post{ID: events.NewPostID(), UserID: user, AccountID: account, Text: text, Rev: 1})
}

func (h *system) tell(t *testing.T, evs ...events.Event) {
	t.Helper()
	if err := h.bus.Emit(t.Context(), evs...); err != nil {
		t.Fatal(err)
	}
}

// event is one of a stream, as a browser would hand it out.
type event struct{ id, name, data string }

func (e event) text(t *testing.T) string {
	t.Helper()
	var body struct{ Post struct{ Text string } }
	if err := json.Unmarshal([]byte(e.data), &body); err != nil {
		t.Fatalf("%v: %s", err, e.data)
	}
	return body.Post.Text
}

// listening is an open stream.
type listening struct {
	t    *testing.T
	resp *http.Response
	in   *bufio.Scanner
	id   string // as a browser keeps it
	beat int    // heartbeats so far
	// ready is set once the past was sent.
	ready bool
	stop  func()
}

// listen opens a stream. When it returns, the gateway has a place for it.
func (h *system) listen(t *testing.T, query string, headers ...string) *listening {
	t.Helper()
	l := h.dial(t, query, headers...)
	if l.resp.StatusCode != http.StatusOK || l.resp.Header.Get("Content-Type") != "text/event-stream" {
		body, _ := io.ReadAll(l.resp.Body)
		t.Fatalf("%s %v: %s", l.resp.Status, l.resp.Header, body)
	}
	return l
}

func (h *system) dial(t *testing.T, query string, headers ...string) *listening {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	limit := time.AfterFunc(waiting.Limit, cancel) // no test waits for ever
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url+"/api/threads/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	l := &listening{t: t, resp: resp, in: bufio.NewScanner(resp.Body)}
	l.in.Buffer(nil, 4<<20)
	l.stop = func() { limit.Stop(); cancel(); _ = resp.Body.Close() }
	t.Cleanup(l.stop)
	return l
}

// next is the next event; ok is false at the end of the stream.
func (l *listening) next() (e event, ok bool) {
	for l.in.Scan() {
		line := l.in.Text()
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && e.name == "ready":
			l.ready, e = true, event{}
		case line == "" && e.data != "":
			return e, true
		case line == "":
			e = event{}
		case name == "":
			l.beat++
		case name == "id":
			e.id, l.id = value, value
		case name == "event":
			e.name = value
		case name == "data":
			e.data += value
		}
	}
	return event{}, false
}

func (l *listening) must(name string) event {
	l.t.Helper()
	e, ok := l.next()
	if !ok || e.name != name {
		l.t.Fatalf("got %+v (%t, %v), want %s", e, ok, l.in.Err(), name)
	}
	return e
}

// place waits for the id that a stream begins with.
func (l *listening) place() string {
	l.t.Helper()
	for l.id == "" && l.in.Scan() {
		if id, found := strings.CutPrefix(l.in.Text(), "id: "); found {
			l.id = id
		}
	}
	if l.id == "" {
		l.t.Fatal("the stream told no id")
	}
	return l.id
}

func ownsA(t *testing.T, h *system) {
	t.Helper()
	answer(t, h, func(q asks.ListAccountIDs) (asks.AccountIDs, error) {
		if q.UserID != ada {
			return asks.AccountIDs{IDs: []string{}}, nil
		}
		return asks.AccountIDs{IDs: []string{acctA, acctB}}, nil
	})
}

// all are the events up to the end of the stream.
func (l *listening) all() func(yield func(event) bool) {
	return func(yield func(event) bool) {
		for e, ok := l.next(); ok && yield(e); e, ok = l.next() {
		}
	}
}

// issuerOf is the issuer of a token.
func issuerOf(t *testing.T, token string) string {
	t.Helper()
	var claims struct{ Iss string }
	readClaims(t, token, &claims)
	return claims.Iss
}

// tokenFor is another token of ada's, which lives so long: the system's issuer is asked, as anyone may.
func tokenFor(t *testing.T, h *system, life time.Duration) string {
	t.Helper()
	id := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(id.Close)
	who, err := issuer.New(id.URL)
	if err != nil {
		t.Fatal(err)
	}
	id.Config.Handler = who.Handler()
	token, err := who.Token(ada, life)
	if err != nil {
		t.Fatal(err)
	}
	h.url = serve(t, h.bus, func(c *gateway.Config) { c.AuthIssuer = id.URL })
	return token
}

func readClaims(t *testing.T, token string, into any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", token)
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatal(err)
	}
}
