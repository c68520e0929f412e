package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/services/gateway"
)

// running is a gateway as it really runs, with the limits of its own server, and raw connections to it.
func running(t *testing.T, changes ...func(*gateway.Config)) *system {
	t.Helper()
	who, id := anIssuer(t)
	h := &system{bus: bustest.New(t)}
	var err error
	if h.token, err = who.Token(ada, time.Hour); err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := gateway.Config{
		PublicURL: "https://api.example", SuccessRedirectURI: "http://app.example", FailureRedirectURI: "http://app.example/?error=x",
		AuthIssuer: id, Wait: 5 * time.Second,
	}
	for _, change := range changes {
		change(&cfg)
	}
	s, err := gateway.New(cfg, gateway.Deps{Bus: h.bus, Log: zap.NewNop(), Listener: l})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	h.url = "http://" + l.Addr().String()
	return h
}

// raw sends bytes as they are, and reads one answer.
func (h *system) raw(t *testing.T, request string) reply {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(waiting.Limit))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return readReply(t, c)
}

func readReply(t *testing.T, c net.Conn) reply {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{status: resp.StatusCode, header: resp.Header, body: body}
}

// nested is JSON of that depth.
func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func TestAttacks(t *testing.T) {
	t.Parallel()
	h := running(t)
	publisherThat(t, h)
	answer(t, h, func(asks.ListConnections) (asks.ConnectionList, error) { return asks.ConnectionList{}, nil })
	const post, list = "/api/threads/post", "/api/threads/connections"

	// What a client may send, and what it is told. Each answer is a problem, of this status and code.
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		code, pointer      string
	}{
		"a body that is too large": {"POST", post, `{"text":"` + strings.Repeat("x", 256<<10) + `"}`, nil, 413, "too_large", ""},
		"a body that is too large where there is none to be": {
			"POST", "/api/auth/ticket", strings.Repeat("x", 257<<10), nil, 413, "too_large", "",
		},
		"an address that is too long":             {"GET", list + "?accountId=" + strings.Repeat("x", 8<<10), "", nil, 414, "address_too_long", ""},
		"headers that are too large":              {"GET", list, "", []string{"X-Junk", strings.Repeat("x", 33<<10)}, 431, "headers_too_large", ""},
		"a token that is too large":               {"GET", list, "", []string{"Authorization", "Bearer " + strings.Repeat("x", 9<<10)}, 401, "unauthorized", "/Authorization"},
		"a name that comes twice":                 {"POST", post, `{"text":"a","text":"b"}`, nil, 400, "unreadable", ""},
		"a name that comes twice, deep down":      {"POST", post, `{"media":[{"type":"image","url":"a","url":"b"}]}`, nil, 400, "unreadable", ""},
		"a name that comes twice, escaped":        {"POST", post, `{"text":"a","t\u0065xt":"b"}`, nil, 400, "unreadable", ""},
		"a name that comes twice but for case":    {"POST", post, `{"text":"a","TEXT":"b"}`, nil, 400, "unreadable", ""},
		"a name that folds to another":            {"POST", post, `{"accountId":"a","text":"b","publishWithin":1,"publi` + "\u017f" + `hWithin":2}`, nil, 400, "unreadable", ""},
		"a name in other letters":                 {"POST", post, `{"Text":"a"}`, nil, 422, "invalid", "/Text"},
		"what is nested too deep":                 {"POST", post, `{"text":` + nested(40) + `}`, nil, 400, "unreadable", ""},
		"what is nested ten thousand deep":        {"POST", post, nested(10_001), nil, 400, "unreadable", ""},
		"something after the body":                {"POST", post, `{"text":"a"} {}`, nil, 400, "unreadable", ""},
		"a NUL in a text":                         {"POST", post, `{"text":"a\u0000"}`, nil, 400, "unreadable", ""},
		"a NUL in a name":                         {"POST", post, `{"text":"a","\u0000":1}`, nil, 400, "unreadable", ""},
		"a NUL between":                           {"POST", post, "{\x00}", nil, 400, "unreadable", ""},
		"bytes that are no text":                  {"POST", post, "{\"text\":\"\xff\"}", nil, 400, "unreadable", ""},
		"UTF-16":                                  {"POST", post, "\xff\xfe{\x00}\x00", nil, 400, "unreadable", ""},
		"a byte order mark":                       {"POST", post, "\xef\xbb\xbf{}", nil, 400, "unreadable", ""},
		"a number without an end":                 {"POST", post, `{"publishWithin":1e999}`, nil, 400, "unreadable", ""},
		"no body where one must be":               {"POST", post, "", nil, 400, "unreadable", ""},
		"a list where an object must be":          {"POST", post, `[]`, nil, 422, "invalid", ""},
		"null where an object must be":            {"POST", post, `null`, nil, 422, "invalid", ""},
		"a form":                                  {"POST", post, "text=a", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type", ""},
		"what a page may send without asking":     {"POST", post, `{"text":"a"}`, []string{"Content-Type", "text/plain"}, 415, "unsupported_media_type", ""},
		"XML":                                     {"POST", post, "<a/>", []string{"Content-Type", "application/xml"}, 415, "unsupported_media_type", ""},
		"another compression":                     {"POST", post, "\x1f\x8b\x08", []string{"Content-Encoding", "gzip"}, 415, "unsupported_media_type", ""},
		"a wish for XML":                          {"GET", list, "", []string{"Accept", "application/xml"}, 406, "not_acceptable", ""},
		"no wish for JSON":                        {"GET", list, "", []string{"Accept", "*/*, application/json;q=0"}, 406, "not_acceptable", ""},
		"a method that is none":                   {"BREW", post, "", nil, 405, "method_not_allowed", ""},
		"a method of another address":             {"DELETE", post, "", nil, 405, "method_not_allowed", ""},
		"an address that is none":                 {"GET", "/wp-admin.php", "", nil, 404, "no_such_route", ""},
		"an address outside":                      {"GET", "/api/threads/post/..%2f..%2fetc%2fpasswd", "", nil, 404, "not_found", ""},
		"a NUL in an id":                          {"GET", post + "/post_%00", "", nil, 404, "not_found", ""},
		"SQL in an id":                            {"GET", post + "/'%20OR%201=1--", "", nil, 404, "not_found", ""},
		"a NUL in a parameter":                    {"GET", "/api/threads/connection?accountId=%00", "", nil, 400, "unreadable", ""},
		"bytes that are no text in a parameter":   {"GET", "/api/threads/connection?accountId=%ff", "", nil, 400, "unreadable", ""},
		"a parameter that cannot be read":         {"GET", "/api/threads/connection?accountId=%zz", "", nil, 400, "unreadable", ""},
		"a parameter twice":                       {"GET", "/api/threads/connection?accountId=a&accountId=b", "", nil, 422, "invalid", "/accountId"},
		"a key that is too long":                  {"POST", post, `{"text":"a"}`, []string{"Idempotency-Key", strings.Repeat("k", 256)}, 422, "invalid", "/Idempotency-Key"},
		"a condition that would not be looked at": {"DELETE", post + "/post_1", "", []string{"If-Match", `"1"`}, 422, "invalid", "/If-Match"},
		"a condition that is none":                {"DELETE", post + "/schedule/post_1", "", []string{"If-Match", `W/1`}, 422, "invalid", "/If-Match"},
	} {
		t.Run(name+" is a calm answer", func(t *testing.T) {
			t.Parallel()
			r := h.do(t, c.method, c.path, c.body, c.headers...)
			var pointers []string
			if c.pointer != "" {
				pointers = []string{c.pointer}
			}
			p := r.problem(t, c.status, c.code, pointers...)
			if len(r.body) > 2000 || strings.Contains(string(r.body), "passwd") || strings.Contains(p.Detail, "xxxx") {
				t.Errorf("too much is said: %.2000s", r.body)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000",
			} {
				if got := r.header.Get(name); got != want {
					t.Errorf("%s: %q", name, got)
				}
			}
		})
	}

	// What no client of ours can be made to send.
	auth := "Authorization: Bearer " + h.token + "\r\n"
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"two lengths":                    {"POST " + post + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400},
		"no host":                        {"GET /healthz HTTP/1.1\r\n\r\n", 400},
		"two hosts":                      {"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		"a space before a colon":         {"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length : 1\r\n\r\n", 400},
		"headers without end":            {"GET /healthz HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", 431},
		"another transfer":               {"POST " + post + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
		"two bearers":                    {"GET " + list + " HTTP/1.1\r\nHost: x\r\n" + auth + "Authorization: Bearer x.y.z\r\n\r\n", 401},
		"two keys":                       {"POST " + post + " HTTP/1.1\r\nHost: x\r\n" + auth + "Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 2\r\n\r\n{}", 422},
		"a body in pieces, too large":    {"POST " + post + " HTTP/1.1\r\nHost: x\r\n" + auth + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n", 300<<10) + strings.Repeat("x", 300<<10) + "\r\n0\r\n\r\n", 413},
		"a body in pieces that are none": {"POST " + post + " HTTP/1.1\r\nHost: x\r\n" + auth + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
		"a whole address of another":     {"GET http://evil.example" + list + " HTTP/1.1\r\nHost: evil.example\r\n" + auth + "\r\n", 200},
		"HTTP/1.0":                       {"GET " + list + " HTTP/1.0\r\n" + auth + "\r\n", 200},
		"a wish to upgrade":              {"GET " + list + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + auth + "\r\n", 200},
	} {
		t.Run(name+" is answered", func(t *testing.T) {
			t.Parallel()
			if r := h.raw(t, c.request); r.status != c.status {
				t.Errorf("%d, want %d: %s", r.status, c.status, r.body)
			}
		})
	}
}

func TestSlowClients(t *testing.T) {
	t.Parallel()

	t.Run("have a limited time for their body, and are told", func(t *testing.T) {
		t.Parallel()
		h := running(t, func(c *gateway.Config) { c.BodyTimeout = time.Second })
		h.do(t, http.MethodGet, "/api/threads/posts?limit=0", "").is(t, http.StatusUnprocessableEntity, nil) // the token is known from here on, so that the second is the body's alone
		h.raw(t, "POST /api/threads/post HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+h.token+"\r\nContent-Length: 20\r\n\r\n{\"te").
			problem(t, http.StatusRequestTimeout, "timeout")
	})

	t.Run("that nobody knows are told before their body comes", func(t *testing.T) {
		t.Parallel()
		h := running(t, func(c *gateway.Config) { c.BodyTimeout = 5 * time.Minute }) // longer than the test waits
		h.raw(t, "POST /api/threads/post HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{\"te").problem(t, http.StatusUnauthorized, "unauthorized")
	})

	t.Run("may wait for their outcome for longer than a body may take", func(t *testing.T) {
		t.Parallel()
		h := running(t, func(c *gateway.Config) { c.BodyTimeout = time.Second })
		profile := make(chan struct{})
		answer(t, h, func(asks.GetProfile) (asks.Profile, error) {
			<-profile
			return asks.Profile{ID: "1"}, nil
		})
		h.handle(t, events.PublisherCommands, func(on *bus.Handlers) {
			bus.OnCommand(on, func(_ context.Context, _ bus.Delivery, c events.PublishPost) (any, error) {
				<-profile
				return events.Post{ID: c.PostID}, nil
			})
		})
		// More than a second after each request was read, both are answered.
		time.AfterFunc(1500*time.Millisecond, func() { close(profile) })
		got := make(chan reply, 2)
		go func() { got <- h.do(t, http.MethodPost, "/api/threads/post", `{"text":"a"}`) }()
		go func() { got <- h.do(t, http.MethodGet, "/api/threads/me", "") }()
		for range 2 {
			if r := <-got; r.status/100 != 2 || r.status == http.StatusAccepted {
				t.Errorf("%d %s", r.status, r.body)
			}
		}
	})

	t.Run("can use a connection again after one that took long", func(t *testing.T) {
		t.Parallel()
		h := running(t, func(c *gateway.Config) { c.BodyTimeout = time.Second })
		publisherThat(t, h)
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(h.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(waiting.Limit))
		in := bufio.NewReader(c)
		for _, pause := range []time.Duration{0, 1200 * time.Millisecond} {
			time.Sleep(pause) // this is the client's pause; nothing is waited for
			body := `{"text":"a"}`
			_, _ = fmt.Fprintf(c, "POST /api/threads/post HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", h.token, len(body), body)
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusCreated {
				t.Errorf("%d %v", resp.StatusCode, err)
			}
		}
	})
}

func TestTooManyAtOnce(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *gateway.Config) { c.MaxInFlight = 16 })
	asked, goOn := make(chan struct{}, 16), make(chan struct{})
	answer(t, h, func(asks.GetProfile) (asks.Profile, error) {
		asked <- struct{}{}
		<-goOn
		return asks.Profile{ID: "1"}, nil
	})
	got := make(chan reply, 16)
	for range 16 {
		go func() { got <- h.do(t, http.MethodGet, "/api/threads/me", "") }()
	}
	// One handler of questions works at a time, so the first alone says that it is there; the others are in flight when the
	// door says that it is full.
	<-asked
	var r reply
	for end := time.Now().Add(waiting.Limit); time.Now().Before(end); {
		if r = h.do(t, http.MethodGet, "/api/threads/nothing", ""); r.status != http.StatusNotFound {
			break
		}
	}
	r.problem(t, http.StatusServiceUnavailable, "unavailable")
	if r.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
	}
	h.do(t, http.MethodGet, "/healthz", "").is(t, http.StatusOK, nil)
	close(goOn)
	for range 16 {
		if r := <-got; r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	h.do(t, http.MethodGet, "/api/threads/nothing", "").problem(t, http.StatusNotFound, "no_such_route")
}

func TestNothingNew(t *testing.T) {
	t.Parallel()
	h := setup(t)
	attempts := make(chan int, 1)
	attempts <- 1
	answer(t, h, func(q asks.GetPost) (asks.PostDetail, error) {
		n := <-attempts
		attempts <- n
		return asks.PostDetail{Post: events.Post{ID: q.ID, Rev: 9}, Attempts: make([]asks.Attempt, n)}, nil
	})
	const at = "/api/threads/post/post_1"
	first := h.do(t, http.MethodGet, at, "")
	first.is(t, http.StatusOK, nil)
	tag := first.header.Get("ETag")
	for _, offer := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		r := h.do(t, http.MethodGet, at, "", "If-None-Match", offer)
		if r.status != http.StatusNotModified || len(r.body) != 0 || r.header.Get("ETag") != tag {
			t.Errorf("%s: %d %s %v", offer, r.status, r.body, r.header)
		}
	}
	for _, offer := range []string{`"9"`, `"x"`, "nonsense"} {
		h.do(t, http.MethodGet, at, "", "If-None-Match", offer).is(t, http.StatusOK, nil)
	}
	// An attempt is noted without a new rev, and is news.
	<-attempts
	attempts <- 2
	h.do(t, http.MethodGet, at, "", "If-None-Match", tag).is(t, http.StatusOK, nil)
}
