package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/cmd/standalone/issuer"
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/services/gateway"
)

func TestRateLimits(t *testing.T) {
	t.Parallel()
	limited := func(t *testing.T, changes ...func(*gateway.Config)) *system {
		t.Helper()
		h := setup(t, append([]func(*gateway.Config){func(c *gateway.Config) {
			c.RateReads, c.RateWrites, c.RateAnonymous = 12, 10, 11
		}}, changes...)...)
		answer(t, h, func(asks.ListConnections) (asks.ConnectionList, error) { return asks.ConnectionList{}, nil })
		authThat(t, h)
		return h
	}
	// until asks until it is told to wait, and says how often it was answered with status before.
	until := func(t *testing.T, ask func() reply, status int) (n int, last reply) {
		t.Helper()
		for ; n < 20; n++ {
			if last = ask(); last.status == http.StatusTooManyRequests {
				return n, last
			}
			if last.status != status {
				t.Fatalf("%d %s", last.status, last.body)
			}
		}
		t.Fatal("never told to wait")
		return 0, last
	}
	toldToWait := func(t *testing.T, r reply, policy string) {
		t.Helper()
		r.problem(t, http.StatusTooManyRequests, "rate_limited")
		if seconds, err := strconv.Atoi(r.header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 6 {
			t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
		}
		if left := r.header.Get("RateLimit"); policy != "" && !strings.HasPrefix(left, `"`+policy+`";r=0;t=`) {
			t.Errorf("RateLimit %q", left)
		}
	}
	const list = "/api/threads/connections"

	t.Run("are a user's own, for looking and for changing, and each answer tells", func(t *testing.T) {
		t.Parallel()
		who, id := anIssuer(t)
		h := limited(t, func(c *gateway.Config) { c.AuthIssuer = id })
		as := func(user string) {
			var err error
			if h.token, err = who.Token(user, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		as(ada)
		r := h.do(t, http.MethodGet, list, "")
		if r.header.Get("RateLimit-Policy") != `"reads";q=12;w=60` || r.header.Get("RateLimit") != `"reads";r=11;t=5` {
			t.Errorf("%v", r.header)
		}
		n, r := until(t, func() reply { return h.do(t, http.MethodGet, list, "") }, http.StatusOK)
		if toldToWait(t, r, "reads"); n < 11 || n > 13 { // one flows back every five seconds
			t.Errorf("looked %d times more", n)
		}
		r = h.do(t, http.MethodPost, "/api/auth/ticket", "")
		if r.status != http.StatusOK || r.header.Get("RateLimit-Policy") != `"writes";q=10;w=60` {
			t.Errorf("%d %v", r.status, r.header)
		}
		// What is refused counts as well.
		n, r = until(t, func() reply { return h.do(t, http.MethodPost, "/api/threads/post", `{"nonsense":1}`) }, 422)
		if toldToWait(t, r, "writes"); n < 9 || n > 10 {
			t.Errorf("wrote %d times more", n)
		}
		as("user_bob")
		h.do(t, http.MethodGet, list, "").is(t, http.StatusOK, nil)
	})

	t.Run("are an address's for whoever is nobody, and leave users alone", func(t *testing.T) {
		t.Parallel()
		h := limited(t)
		stranger := func() reply { return h.do(t, http.MethodGet, list, "", "Authorization", "Bearer x.y.z") }
		n, r := until(t, stranger, http.StatusUnauthorized)
		if toldToWait(t, r, "anonymous"); n < 11 || n > 12 {
			t.Errorf("tried %d times", n)
		}
		// Tickets that nobody gave out are counted as well, by themselves.
		spent := func() reply {
			return h.do(t, http.MethodGet, start+"?ticket=spent", "", "Authorization", "", "Accept", "application/json")
		}
		n, r = until(t, spent, http.StatusUnauthorized)
		if toldToWait(t, r, "anonymous"); n < 11 || n > 12 {
			t.Errorf("tried %d times", n)
		}
		h.do(t, http.MethodGet, list, "").is(t, http.StatusOK, nil)
		h.do(t, http.MethodGet, "/healthz", "", "Authorization", "").is(t, http.StatusOK, nil)
	})

	t.Run("count an address that a trusted proxy names, and no other's word", func(t *testing.T) {
		t.Parallel()
		h := limited(t, func(c *gateway.Config) { c.TrustedProxies = []string{"127.0.0.1"} })
		from := func(address string) func() reply {
			return func() reply {
				return h.do(t, http.MethodGet, list, "", "Authorization", "", "X-Forwarded-For", address)
			}
		}
		until(t, from("1.1.1.1, 198.51.100.1"), http.StatusUnauthorized)
		toldToWait(t, from("2.2.2.2, 198.51.100.1")(), "anonymous")
		from("198.51.100.2")().problem(t, http.StatusUnauthorized, "unauthorized")

		h = limited(t)
		until(t, from("198.51.100.1"), http.StatusUnauthorized)
		toldToWait(t, from("198.51.100.2")(), "anonymous")
	})

	t.Run("count what Meta sends only when it was not Meta", func(t *testing.T) {
		t.Parallel()
		h := limited(t)
		answer(t, h, func(q asks.ReceiveWebhook) (asks.WebhookReceived, error) {
			if q.Signature != "sha256=meta" {
				return asks.WebhookReceived{}, events.Faultf(events.Unauthorized, "The signature is not Meta's.")
			}
			return asks.WebhookReceived{}, nil
		})
		send := func(signature string) func() reply {
			return func() reply {
				return h.do(t, http.MethodPost, "/api/threads/webhook", "{}", "Authorization", "", "X-Hub-Signature-256", signature)
			}
		}
		for range 30 {
			send("sha256=meta")().is(t, http.StatusOK, nil)
		}
		_, r := until(t, send("sha256=forged"), http.StatusUnauthorized)
		toldToWait(t, r, "")
	})

	t.Run("are off at 0", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		answer(t, h, func(asks.ListConnections) (asks.ConnectionList, error) { return asks.ConnectionList{}, nil })
		for range 30 {
			r := h.do(t, http.MethodGet, list, "")
			if r.is(t, http.StatusOK, nil); r.header.Get("RateLimit") != "" {
				t.Fatal(r.header)
			}
		}
	})
}

// anIssuer is an issuer, and where it is.
func anIssuer(t *testing.T) (*issuer.Issuer, string) {
	t.Helper()
	id := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(id.Close)
	who, err := issuer.New(id.URL)
	if err != nil {
		t.Fatal(err)
	}
	id.Config.Handler = who.Handler()
	return who, id.URL
}

func TestLimitsConfig(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"PUBLIC_URL": "http://api.example", "THREADS_SUCCESS_REDIRECT_URI": "http://app.example",
		"THREADS_FAILURE_REDIRECT_URI": "http://app.example", "AUTH_ISSUER": "https://clerk.id.example",
	}
	cfg, err := gateway.ConfigFromEnv(func(name string) string { return env[name] })
	if err != nil || cfg.RateReads != 3000 || cfg.RateWrites != 1200 || cfg.RateAnonymous != 600 || cfg.MaxBody != 256<<10 ||
		cfg.MaxInFlight != 1024 || cfg.BodyTimeout != 10*time.Second {
		t.Errorf("%+v, %v", cfg.LimitsConfig, err)
	}
	for name, value := range map[string]string{
		"RATE_LIMIT_READS_PER_MINUTE": "9", "RATE_LIMIT_WRITES_PER_MINUTE": "-1", "RATE_LIMIT_ANONYMOUS_PER_MINUTE": "1",
		"MAX_BODY_BYTES": "1000000", "MAX_IN_FLIGHT": "15", "BODY_TIMEOUT": "10m", "TRUSTED_PROXIES": "10.0.0.0/8,nonsense",
	} {
		_, err := gateway.ConfigFromEnv(func(asked string) string {
			if asked == name {
				return value
			}
			return env[asked]
		})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
	off := map[string]string{"RATE_LIMIT_READS_PER_MINUTE": "0"}
	cfg, err = gateway.ConfigFromEnv(func(name string) string { return off[name] + env[name] })
	if err != nil || cfg.RateReads != 0 {
		t.Errorf("%+v, %v", cfg.LimitsConfig, err)
	}
}
