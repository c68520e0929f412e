package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/services/gateway"
)

const webhookAddress = "/api/threads/webhook"

// hold opens a connection, sends the beginning of a request and leaves it at that. What is answered to it, if anything, is for
// reply.
func (h *system) hold(t *testing.T, request string) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return c
}

// slowWebhook is a webhook whose body does not come, from an address as the proxy tells it.
func slowWebhook(from, length string) string {
	return "POST " + webhookAddress + " HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + from + "\r\nContent-Type: application/json\r\n" +
		"X-Hub-Signature-256: sha256=ab\r\n" + length + "\r\n\r\n{"
}

// crowded is a gateway behind a proxy, with the usual number of places, where a body may take longer than the test.
func crowded(t *testing.T, changes ...func(*gateway.Config)) *system {
	t.Helper()
	h := running(t, append([]func(*gateway.Config){func(c *gateway.Config) {
		c.BodyTimeout, c.TrustedProxies = 5*time.Minute, []string{"127.0.0.1"}
	}}, changes...)...)
	answer(t, h, func(asks.ListConnections) (asks.ConnectionList, error) { return asks.ConnectionList{}, nil })
	answer(t, h, func(asks.ReceiveWebhook) (asks.WebhookReceived, error) {
		return asks.WebhookReceived{Facts: 1}, nil
	})
	return h
}

// refused counts the answers of a status on connections that are held; those without an answer are waited for by nobody.
func refused(t *testing.T, held []net.Conn, status, atLeast int) {
	t.Helper()
	answers := make(chan int, len(held))
	for _, c := range held {
		go func() {
			_ = c.SetDeadline(time.Now().Add(waiting.Limit))
			line := make([]byte, len("HTTP/1.1 429"))
			if _, err := io.ReadFull(c, line); err != nil {
				answers <- 0
				return
			}
			var got int
			_, _ = fmt.Sscanf(string(line), "HTTP/1.1 %d", &got)
			answers <- got
		}()
	}
	for range atLeast {
		if got := <-answers; got != status {
			t.Fatalf("a request too many was answered with %d", got)
		}
	}
}

func TestSlowBodiesStopNobodyElse(t *testing.T) {
	t.Parallel()
	h := crowded(t)
	var held []net.Conn
	for range 1100 {
		held = append(held, h.hold(t, slowWebhook("198.51.100.1", "Content-Length: 100")))
	}
	refused(t, held, http.StatusTooManyRequests, 800)

	h.do(t, http.MethodGet, "/api/threads/connections", "").is(t, http.StatusOK, nil)
	h.do(t, http.MethodPost, webhookAddress, "{}", "Authorization", "", "X-Forwarded-For", "198.51.100.2", "X-Hub-Signature-256", "sha256=ab").
		is(t, http.StatusOK, nil)
	r := h.do(t, http.MethodGet, "/api/auth/threads/callback?state=a&code=b", "", "Authorization", "", "X-Forwarded-For", "198.51.100.2")
	if at := r.header.Get("Location"); r.status != http.StatusFound || strings.Contains(at, "rate_limited") {
		t.Errorf("%d %s", r.status, at)
	}
	h.do(t, http.MethodGet, "/openapi.json", "", "Authorization", "", "X-Forwarded-For", "198.51.100.2").is(t, http.StatusOK, nil)

	// Many addresses have no more than the half that is theirs.
	for i := range 600 {
		h.hold(t, slowWebhook(fmt.Sprintf("198.51.%d.%d", 101+i/200, i%200), "Content-Length: 100"))
	}
	waiting.Until(t, "strangers are told that there is no room", func() bool {
		r := h.do(t, http.MethodPost, webhookAddress, "{}", "Authorization", "", "X-Forwarded-For", "198.51.100.3", "X-Hub-Signature-256", "sha256=ab")
		return r.status == http.StatusServiceUnavailable
	})
	h.do(t, http.MethodGet, "/api/threads/connections", "").is(t, http.StatusOK, nil)
}

// A body is charged before it is read: by what it announces, or by the most that it may have.
func TestBodiesAreChargedBeforeTheyAreRead(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]string{
		"announced": "Content-Length: 655360", "in pieces": "Transfer-Encoding: chunked",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := crowded(t, func(c *gateway.Config) { c.MaxBytesInFlight = 16 << 20 })
			var held []net.Conn
			for range 30 {
				held = append(held, h.hold(t, slowWebhook("198.51.100.1", length)))
			}
			refused(t, held, http.StatusTooManyRequests, 20)
			h.do(t, http.MethodPost, webhookAddress, "{}", "Authorization", "", "X-Forwarded-For", "198.51.100.2", "X-Hub-Signature-256", "sha256=ab").
				is(t, http.StatusOK, nil)
			h.do(t, http.MethodGet, "/api/threads/connections", "").is(t, http.StatusOK, nil)
		})
	}
}

func TestUnsignedWebhooksAreNotRead(t *testing.T) {
	t.Parallel()
	h := crowded(t)
	for _, signature := range []string{"", "X-Hub-Signature-256: sha1=ab\r\n"} {
		h.raw(t, "POST "+webhookAddress+" HTTP/1.1\r\nHost: x\r\n"+signature+"Content-Length: 100\r\n\r\n{").
			problem(t, http.StatusUnauthorized, "unauthorized")
	}
}

// What is not Meta's is counted before it is read: so many at once are no way around the rate.
func TestForgedWebhooksCountBeforeTheyAreRead(t *testing.T) {
	t.Parallel()
	h := crowded(t, func(c *gateway.Config) { c.RateAnonymous = 20 })
	var held []net.Conn
	for range 40 {
		held = append(held, h.hold(t, slowWebhook("198.51.100.1", "Content-Length: 100")))
	}
	refused(t, held, http.StatusTooManyRequests, 20)
}

// Who waits for an outcome holds no place.
func TestWaitingHoldsNoPlace(t *testing.T) {
	t.Parallel()
	h := running(t, func(c *gateway.Config) { c.MaxInFlight = 16 })
	answer(t, h, func(asks.ListConnections) (asks.ConnectionList, error) { return asks.ConnectionList{}, nil })
	goOn := make(chan struct{})
	h.handle(t, events.PublisherCommands, func(on *bus.Handlers) {
		bus.OnCommand(on, func(ctx context.Context, _ bus.Delivery, c events.PublishPost) (any, error) {
			select {
			case <-goOn:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			return events.Post{ID: c.PostID}, nil
		})
	})
	var all sync.WaitGroup
	const many = 100
	answered := make(chan int, many)
	for range many {
		all.Go(func() {
			for { // a place to be stored in may have to be waited for
				r := h.do(t, http.MethodPost, "/api/threads/post", `{"text":"a"}`, "Prefer", "wait=30")
				if r.status != http.StatusTooManyRequests && r.status != http.StatusServiceUnavailable {
					answered <- r.status
					return
				}
			}
		})
	}
	waiting.Until(t, "all are stored", func() bool {
		s, err := h.bus.JetStream().Stream(t.Context(), "COMMANDS")
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().State.Msgs >= many
	})
	waiting.Until(t, "there is a place", func() bool {
		return h.do(t, http.MethodGet, "/api/threads/connections", "").status == http.StatusOK
	})
	close(goOn)
	all.Wait()
	close(answered)
	for status := range answered {
		if status != http.StatusCreated && status != http.StatusAccepted {
			t.Errorf("%d", status)
		}
	}
}

// A person's link is answered with something for a person, and is not counted with refused sign-ins.
func TestLinksOfPeople(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *gateway.Config) { c.RateAnonymous = 10 })
	authThat(t, h)
	for range 30 {
		h.do(t, http.MethodGet, "/api/threads/connections", "", "Authorization", "Bearer x.y.z")
	}
	h.do(t, http.MethodGet, "/api/threads/connections", "", "Authorization", "Bearer x.y.z").problem(t, http.StatusTooManyRequests, "rate_limited")

	for _, link := range []string{"/api/auth/threads/callback?state=a&code=b", start + "?ticket=spent"} {
		var r reply
		for range 30 {
			r = h.do(t, http.MethodGet, link, "", "Authorization", "", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
			if r.status != http.StatusFound || !strings.HasPrefix(r.header.Get("Location"), "http://app.example/") {
				t.Fatalf("%s: %d %s", link, r.status, r.body)
			}
		}
		if at := r.header.Get("Location"); !strings.Contains(at, "reason=rate_limited") || r.header.Get("Retry-After") == "" {
			t.Errorf("%s ends at %s, %v", link, at, r.header)
		}
	}
	r := h.do(t, http.MethodGet, "/api/threads/data-deletion/x", "", "Authorization", "", "Accept", "text/html")
	if r.status != http.StatusTooManyRequests || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || !strings.Contains(string(r.body), "<h1>") {
		t.Errorf("%d %v %s", r.status, r.header, r.body)
	}
	h.do(t, http.MethodGet, "/api/threads/data-deletion/x", "", "Authorization", "").problem(t, http.StatusTooManyRequests, "rate_limited")
}
