package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/standalone/issuer"
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/services/gateway/console"
)

// fake is the console before an API that answers what a test wants, and an issuer.
type fake struct {
	*testing.T
	server *httptest.Server
	issuer *issuer.Issuer
	issues *httptest.Server

	mu      sync.Mutex
	answers map[string]any            // by method and path
	calls   []string                  // that changed something
	bodies  map[string]map[string]any // the last of each
	onCall  func(*http.Request)
	silent  bool          // the gateway does not answer at all
	cut     chan struct{} // closed: the streams end, and no new one begins
}

// evil is what nobody's page may run. It is planted in whatever a person or Threads can fill.
const evil = `"><img src=x onerror=alert(1)><script>alert(2)</script>{{.}}'` + "`"

func planted(what string) string { return what + evil }

func newFake(t *testing.T, change ...func(*console.Options)) *fake {
	t.Helper()
	f := &fake{T: t, answers: map[string]any{}, bodies: map[string]map[string]any{}, cut: make(chan struct{})}
	f.issues = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.issuer.Handler().ServeHTTP(w, r) }))
	t.Cleanup(f.issues.Close)
	var err error
	if f.issuer, err = issuer.New(f.issues.URL); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.quiet() {
			panic(http.ErrAbortHandler)
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(f.server.Close)
	base, _ := url.Parse(f.server.URL)
	o := console.Options{
		API: http.HandlerFunc(f.api), Base: base, Issuer: f.issues.URL, ClientID: issuer.Client, Scopes: []string{"openid"}, Facts: events.FactNames(),
		Rate: func(h http.Handler) http.Handler { return h }, Waits: func(*http.Request) {}, Log: zap.NewNop(), Now: time.Now,
		Operator: func(claims jwt.MapClaims) bool {
			sub, _ := claims["sub"].(string)
			return strings.HasPrefix(sub, "ada")
		},
	}
	for _, c := range change {
		c(&o)
	}
	c, err := console.New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.Register(mux)
	f.full()
	return f
}

// api answers as the API would.
func (f *fake) api(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.onCall != nil {
		f.onCall(r)
	}
	if r.Method != http.MethodGet && r.URL.Path != "/api/threads/post/validate" {
		f.calls = append(f.calls, r.Method+" "+r.URL.Path)
	}
	var sent map[string]any
	if json.NewDecoder(r.Body).Decode(&sent) == nil {
		f.bodies[r.Method+" "+r.URL.Path] = sent
	}
	var key string
	for _, k := range []string{r.Method + " " + r.URL.RequestURI(), r.Method + " " + r.URL.Path + "?" + r.URL.Query().Get("status"), r.Method + " " + r.URL.Path} {
		if _, ok := f.answers[k]; ok {
			key = k
			break
		}
	}
	if r.URL.Path == "/api/threads/events" {
		cut := f.cut
		select {
		case <-cut:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		default:
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte("event: ready\ndata: {}\n\n"))
		if fl, ok := w.(http.Flusher); ok {
			fl.Flush()
		}
		f.mu.Unlock()
		select {
		case <-r.Context().Done():
		case <-cut:
		}
		f.mu.Lock()
		return
	}
	answer, ok := f.answers[key]
	if !ok {
		answer = trouble(http.StatusNotFound, "not_found", planted("There is none."))
	}
	if ask, is := answer.(func(*http.Request) any); is {
		answer = ask(r)
	}
	if slow, is := answer.(func() any); is {
		f.mu.Unlock()
		answer = slow()
		f.mu.Lock()
	}
	status := http.StatusOK
	if m, is := answer.(map[string]any); is {
		if s, is := m["status"].(int); is { // a problem's; a webhook's is a word
			status = s
		}
		if again, is := m["retryAfter"].(string); is {
			w.Header().Set("Retry-After", again)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func trouble(status int, code, detail string, errs ...map[string]any) map[string]any {
	return map[string]any{"status": status, "title": planted("Trouble"), "code": code, "detail": detail, "requestId": planted("req"), "errors": errs}
}

func (f *fake) answer(key string, value any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[key] = value
}

// quiet says whether the gateway is to answer nothing.
func (f *fake) quiet() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.silent
}

func (f *fake) silence(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.silent = on
}

// stream ends the streams of events, or lets them be again.
func (f *fake) stream(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if on {
		f.cut = make(chan struct{})
	} else {
		close(f.cut)
	}
}

// body is what was sent last in a call.
func (f *fake) body(key string) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bodies[key]
}

// later is a trouble that says when it is over.
func later(seconds string, of map[string]any) map[string]any {
	of["retryAfter"] = seconds
	return of
}

func (f *fake) called() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

const account = "acct_1"

func postIn(state events.State, status events.Status, change ...func(*events.Post)) events.Post {
	at := time.Now().Add(2 * time.Hour).UTC()
	late := 12.0
	p := events.Post{
		ID: "post_" + string(state), UserID: "ada", Text: planted("Doors open at ten. "), ScheduledAt: at, Status: status, State: state, AccountID: account, Kind: events.KindPost,
		CreatedAt: at.Add(-24 * time.Hour), UpdatedAt: at.Add(-time.Hour), Rev: 3,
		Media:     []events.Media{{Type: events.Image, URL: "https://cdn.example.com/" + evil, AltText: planted("A door")}, {Type: events.Video, URL: "javascript:alert(3)", AltText: ""}},
		Options:   events.Options{Spoilers: []events.TextRange{{Offset: 3, Length: 60}, {Offset: -5, Length: 2}, {Offset: 1 << 50, Length: 1 << 50}}, Location: planted("7"), TopicTag: planted("doors"), Poll: []string{planted("Yes"), planted("No")}, LinkAttachment: "javascript:alert(4)", ReplyControl: planted("x")},
		Permalink: ptr("javascript:alert(5)"), LatenessMs: &late,
	}
	if state == events.StatePublished {
		p.AcceptedAt, p.PostedTweetID = &at, ptr("123")
	}
	if state == events.StateFailed || state == events.StateWaiting || state == events.StateParked {
		p.Reason = &events.Fault{Code: events.Refused, Message: planted("Threads refused it.")}
	}
	p.Warnings = []events.Detail{{Pointer: "/text", Code: "x", Message: planted("Mind this.")}}
	for _, c := range change {
		c(&p)
	}
	return p
}

func ptr[T any](v T) *T { return &v }

var states = map[events.State]events.Status{
	events.StateScheduled: events.StatusQueued, events.StateReady: events.StatusQueued, events.StateWaiting: events.StatusQueued, events.StatePublishing: events.StatusQueued,
	events.StateUnconfirmed: events.StatusQueued, events.StateParked: events.StatusQueued, events.StatePublished: events.StatusPosted, events.StateFailed: events.StatusFailed,
	events.StateCancelled: events.StatusCancelled,
}

// full fills the API with posts of all states and accounts of all kinds.
func (f *fake) full() {
	now := time.Now().UTC()
	connection := func(id, name string, status events.ConnectionStatus) map[string]any {
		return map[string]any{
			"connected": status == events.ConnectionActive, "id": id, "username": name, "status": status, "grantedAt": now, "accessTokenExpiresAt": now.Add(59 * 24 * time.Hour), "scopes": []string{}, "rev": 1,
			"unlocks":  []any{map[string]any{"name": "publish", "unlocked": true}, map[string]any{"name": planted("search"), "unlocked": false, "missingScopes": []string{planted("scope")}}},
			"pausedAt": nil, "pauseReason": planted("held"),
		}
	}
	list := []any{connection(account, planted("ada"), events.ConnectionActive), connection("acct_2", planted("bob"), events.ConnectionReconnectRequired)}
	f.answer("GET /api/threads/connections", list)
	f.answer("GET /api/threads/connection", list[0])
	limit := map[string]any{"total": 250, "used": 200, "scheduled": 40, "remaining": 10, "freeAt": now.Add(time.Hour)}
	f.answer("GET /api/threads/limits", map[string]any{"posts": limit, "replies": limit, "deletes": limit})
	all := map[events.Status][]events.Post{}
	for _, state := range []events.State{
		events.StateParked, events.StateWaiting, events.StatePublishing, events.StateUnconfirmed, events.StateReady, events.StateScheduled, events.StatePublished, events.StateFailed, events.StateCancelled,
	} {
		p := postIn(state, states[state])
		all[p.Status] = append(all[p.Status], p)
		at := now.Add(-time.Minute)
		attempts := []any{
			map[string]any{"at": at, "phase": "create", "tookMs": 12, "ok": true, "message": planted("Threads accepted the call.")},
			map[string]any{"at": at, "phase": planted("other"), "tookMs": 1200, "ok": false, "message": planted("No."), "code": 10, "traceId": planted("trace")},
		}
		body, _ := json.Marshal(struct {
			events.Post
			Attempts []any `json:"attempts"`
		}{p, attempts})
		f.answer("GET /api/threads/post/"+p.ID, json.RawMessage(body))
		var snapshots []any
		for i := range 5 {
			snapshots = append(snapshots, map[string]any{"at": at.Add(time.Duration(i) * time.Hour), "figures": map[string]any{"views": i * i * 100}})
		}
		f.answer("GET /api/threads/post/"+p.ID+"/insights", map[string]any{"metrics": []any{map[string]any{"name": planted("views"), "total": 12345}}, "snapshots": snapshots})
		f.answer("GET /api/threads/post/"+p.ID+"/replies", map[string]any{"next": "x", "items": []any{
			map[string]any{"mediaId": "991", "username": planted("eve"), "text": planted("I reply."), "timestamp": at, "hideStatus": "NOT_HUSHED"},
			map[string]any{"mediaId": "992", "username": "eve", "text": planted("Hidden."), "timestamp": at, "hideStatus": "HIDDEN"},
			map[string]any{"mediaId": "993", "username": "eve", "text": "Waits.", "timestamp": at, "approvalStatus": "pending"},
		}})
	}
	f.answer("GET /api/threads/events/recent", map[string]any{"lastEventId": "x", "events": []any{
		map[string]any{"id": "b-1", "name": "post.published", "at": now, "data": map[string]any{"post": postIn(events.StatePublished, events.StatusPosted)}},
		map[string]any{"id": "b-2", "name": "account.reply_received", "at": now, "data": map[string]any{"accountId": account, "username": planted("eve"), "text": planted("I reply.")}},
		map[string]any{"id": "b-3", "name": "account.connected", "at": now, "data": map[string]any{"connection": map[string]any{"id": account, "username": planted("ada")}}},
		map[string]any{"id": "b-4", "name": planted("post.of_tomorrow"), "at": now, "data": map[string]any{"post": 17, "else": planted("x")}},
	}})
	hook := func(id, status string, change ...any) map[string]any {
		h := map[string]any{
			"id": id, "url": "https://hooks.example.com/" + evil, "description": planted("The newsroom"), "facts": []string{"post.published", planted("x")}, "accountId": account, "status": status,
			"reason": planted("Gone."), "createdAt": now, "updatedAt": now,
		}
		for i := 0; i+1 < len(change); i += 2 {
			h[change[i].(string)] = change[i+1]
		}
		return h
	}
	hooks := []any{hook("whk_1", "active"), hook("whk_2", "paused", "facts", []string{}, "accountId", ""), hook("whk_3", "disabled"), hook("whk_4", "active", "failingSince", now)}
	f.answer("GET /api/threads/webhooks", hooks)
	tried := map[string]any{"at": now, "statusCode": 500, "message": planted("No."), "tookMs": 1234.5}
	for i, h := range hooks {
		at := fmt.Sprint("/api/threads/webhooks/whk_", i+1)
		f.answer("GET "+at, h)
		f.answer("GET "+at+"/deliveries", map[string]any{"next": planted("cursor"), "deliveries": []any{
			map[string]any{"id": "dlv_1", "eventId": planted("evt"), "eventType": planted("post.published.v1"), "status": "waiting", "attempts": 0, "nextTry": now, "createdAt": now, "log": []any{}},
			map[string]any{"id": "dlv_2", "eventId": "evt_2", "eventType": "post.failed.v1", "status": "waiting", "attempts": 1, "nextTry": now.Add(time.Hour), "createdAt": now, "log": []any{tried}},
			map[string]any{"id": "dlv_3", "eventId": "evt_3", "eventType": "webhook.test.v1", "status": "delivered", "attempts": 2, "createdAt": now, "log": []any{map[string]any{"at": now, "message": planted("refused"), "tookMs": 1}, map[string]any{"at": now, "statusCode": 200, "message": "ok", "tookMs": 12}}},
			map[string]any{"id": "dlv_4", "eventId": "evt_4", "eventType": "post.published.v1", "status": "failed", "attempts": 20, "createdAt": now, "log": []any{tried}},
		}})
	}
	f.answer("POST /api/threads/webhooks", hook("whk_1", "active", "secret", planted("whsec_x")))
	f.answer("POST /api/threads/webhooks/whk_1/rotate", hook("whk_1", "active", "secret", planted("whsec_y"), "oldSecretUntil", now.Add(24*time.Hour)))
	f.answer("GET /api/threads/operations", map[string]any{
		"measuredAt": now, "lateness": map[string]any{"posts": 1000, "buckets": []any{
			map[string]any{"upToMs": 10, "posts": 700}, map[string]any{"upToMs": 25, "posts": 250}, map[string]any{"upToMs": 1000, "posts": 49}, map[string]any{"upToMs": 60000, "posts": 0}, map[string]any{"posts": 1},
		}},
		"overdue": map[string]any{"posts": 2, "oldest": now}, "deadLetters": 3, "behind": 4, "skipped": 5,
		"unsettled": []any{map[string]any{"state": "parked", "posts": 6, "oldest": now}, map[string]any{"state": "unconfirmed", "posts": 7, "oldest": now}, map[string]any{"state": "waiting", "posts": 0}},
		"consumers": []any{map[string]any{"stream": planted("EVENTS"), "name": planted("publisher-recorder"), "known": true, "pending": 8, "unacked": 9}, map[string]any{"stream": "COMMANDS", "name": "auth-commands"}},
	})
	var everything []events.Post
	for status, posts := range all {
		f.answer("GET /api/threads/posts?"+string(status), map[string]any{"posts": posts, "next": planted("cursor")})
		everything = append(everything, posts...)
	}
	f.answer("GET /api/threads/posts", map[string]any{"posts": everything})
	f.answer("GET /api/threads/locations", map[string]any{"items": []any{
		map[string]any{"id": "991", "name": planted("The mill"), "city": planted("Ulm")}, map[string]any{"id": planted("992"), "name": "The other mill"},
	}})
	f.answer("POST /api/threads/post/validate", map[string]any{
		"valid": false, "errors": []any{
			map[string]any{"pointer": "/text", "detail": planted("Too long."), "code": "x"}, map[string]any{"pointer": "/parts/1/media/0", "detail": planted("Gone."), "code": "x"},
			map[string]any{"pointer": "/scheduledAt", "detail": planted("Over."), "code": "x"}, map[string]any{"pointer": "/poll/0", "detail": planted("Poll."), "code": "x"},
			map[string]any{"pointer": "/topicTag", "detail": planted("Topic."), "code": "x"}, map[string]any{"pointer": "/elsewhere", "detail": planted("Elsewhere."), "code": "x"},
		},
		"warnings": []any{map[string]any{"pointer": "/text", "detail": planted("Mind."), "code": "x"}}, "parts": []any{map[string]any{"count": 501, "limit": 500, "links": 0}}, "timeDecision": "first_of_two", "publishAt": now,
	})
}

// fullDays answers for a user who has some hundred posts on every day, with texts of several bytes a character, as the API
// does: as many as were asked for, from the time that was asked for, and how many there are in all.
func fullDays(r *http.Request) any {
	q := r.URL.Query()
	from, err := time.Parse(time.RFC3339, q.Get("from"))
	limit, _ := strconv.Atoi(q.Get("limit"))
	if err != nil || limit == 0 {
		from, limit = time.Now().UTC(), 50
	}
	const every = 4 * time.Minute
	list := make([]events.Post, 0, limit)
	for i := range limit {
		list = append(list, postIn(events.StateScheduled, events.StatusQueued, func(p *events.Post) {
			p.ID, p.Text, p.ScheduledAt = fmt.Sprintf("post_01kbd%08d%08d", from.Unix()/60%1e8, i), strings.Repeat("門十時に開く", 30), from.Add(time.Duration(i)*every)
		}))
	}
	return map[string]any{
		"posts": list, "next": "more", "counts": map[string]any{"QUEUED": map[string]any{"posts": 360}, "parked": map[string]any{"posts": 0}, "FAILED": map[string]any{"posts": 1000, "more": true}},
	}
}

// client is a browser without scripts.
type client struct {
	*fake
	http *http.Client
}

func (f *fake) client() *client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		f.Fatal(err)
	}
	return &client{f, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// signedIn is a client with a session, as sub.
func (f *fake) signedIn(sub string) *client {
	c := f.client()
	c.session(sub)
	return c
}

func (c *client) session(sub string) {
	token, err := c.issuer.Token(sub, time.Hour)
	if err != nil {
		c.Fatal(err)
	}
	at, _ := url.Parse(c.server.URL)
	c.http.Jar.SetCookies(at, []*http.Cookie{{Name: "console_session", Value: token, Path: "/"}})
}

type page struct {
	status int
	header http.Header
	body   string
}

func (c *client) send(method, at string, form url.Values, headers ...string) page {
	c.Helper()
	if !strings.HasPrefix(at, "http") {
		at = c.server.URL + at
	}
	req, err := http.NewRequestWithContext(c.Context(), method, at, strings.NewReader(form.Encode()))
	if err != nil {
		c.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var b strings.Builder
	buf := make([]byte, 1<<16)
	for {
		n, err := resp.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			break
		}
	}
	return page{resp.StatusCode, resp.Header, b.String()}
}

func (c *client) get(at string, headers ...string) page {
	c.Helper()
	return c.send(http.MethodGet, at, nil, headers...)
}

// formToken is what the forms of a page carry.
func (c *client) formToken() string {
	c.Helper()
	_, rest, ok := strings.Cut(c.get("/console/settings").body, `name="form" value="`)
	if !ok {
		c.Fatal("no form")
	}
	token, _, _ := strings.Cut(rest, `"`)
	return token
}
