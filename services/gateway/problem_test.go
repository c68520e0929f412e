package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/services/gateway"
	"github.com/omni-write/threads/services/gateway/edge"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	h := setup(t)
	answer(t, h, func(q asks.GetPost) (asks.PostDetail, error) {
		f := events.Faultf(events.Code(q.ID), "Said by %s.", q.ID).At("/text", "detail", "Mend it.")
		if q.ID == string(events.RateLimited) {
			f.After(90 * time.Second)
		}
		return asks.PostDetail{}, f
	})
	for code, status := range map[events.Code]int{
		events.Invalid: 422, events.KeyReused: 422, events.NotFound: 404, events.Conflict: 409, events.Unauthorized: 401,
		events.MissingScope: 403, events.ReauthRequired: 409, events.RateLimited: 429, events.Refused: 422, events.Missed: 409,
		events.Unknown: 503, events.Unavailable: 503, events.Internal: 500, "from_the_future": 500,
	} {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			r := h.do(t, http.MethodGet, "/api/threads/post/"+string(code), "")
			p := r.problem(t, status, string(code), "/text")
			if p.Detail != "Said by "+string(code)+"." || p.Type != "urn:omni-write:threads:problem:"+string(code) {
				t.Errorf("%s", r.body)
			}
			if after := r.header.Get("Retry-After"); (after != "") != (status == 503 || status == 429) || status == 429 && after != "90" {
				t.Errorf("Retry-After %q", after)
			}
			if challenge := r.header.Get("WWW-Authenticate"); (challenge == "Bearer") != (status == 401) {
				t.Errorf("WWW-Authenticate %q", challenge)
			}
		})
	}
}

func TestServicesAway(t *testing.T) {
	t.Parallel()

	t.Run("a question that nobody answers is a 503", func(t *testing.T) {
		t.Parallel()
		r := setup(t).do(t, http.MethodGet, "/api/threads/connection", "")
		r.problem(t, http.StatusServiceUnavailable, "unavailable")
		if r.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	})

	t.Run("a command that is not taken is a 503", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		if err := h.bus.JetStream().DeleteStream(t.Context(), events.StreamCommands); err != nil {
			t.Fatal(err)
		}
		r := h.do(t, http.MethodPost, "/api/threads/post", `{"text":"x"}`)
		r.is(t, http.StatusServiceUnavailable, nil)
		if r.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	})

	t.Run("an outcome that is not known is a 503 with where to ask", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		publisherRefusing(t, h, events.Faultf(events.Unknown, "Nobody knows yet."))
		r := h.do(t, http.MethodPost, "/api/threads/post", `{"text":"x"}`, "Idempotency-Key", "k")
		p := r.problem(t, http.StatusServiceUnavailable, "outcome_unknown")
		if at := r.header.Get("Location"); !strings.HasPrefix(at, "/api/threads/commands/cmd_") || p.Instance != at || r.header.Get("Retry-After") == "" {
			t.Errorf("%s %v", r.body, r.header)
		}
	})
}

func TestCORS(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *gateway.Config) { c.CORSOrigins = []string{"http://localhost:5173", " https://app.example"} })
	preflight := func(origin string) reply {
		return h.do(t, http.MethodOptions, "/api/threads/post", "", "Authorization", "", "Origin", origin,
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type,idempotency-key")
	}

	t.Run("lets pages of the listed origins in", func(t *testing.T) {
		t.Parallel()
		for _, origin := range []string{"http://localhost:5173", "https://app.example"} {
			r := preflight(origin)
			if r.status != http.StatusNoContent || r.header.Get("Access-Control-Allow-Origin") != origin ||
				r.header.Get("Access-Control-Allow-Headers") != "authorization,content-type,idempotency-key" || r.header.Get("Access-Control-Max-Age") != "600" {
				t.Errorf("%d %v", r.status, r.header)
			}
			if r.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("with credentials")
			}
		}
	})

	t.Run("shows them the headers that they need, also on problems", func(t *testing.T) {
		t.Parallel()
		r := h.do(t, http.MethodPost, "/api/threads/post", "{", "Origin", "http://localhost:5173")
		r.problem(t, http.StatusBadRequest, "unreadable")
		shown := strings.ToLower(r.header.Get("Access-Control-Expose-Headers"))
		for _, name := range []string{"location", "retry-after", "x-request-id"} {
			if !strings.Contains(shown, name) {
				t.Errorf("%s is not among %s", name, shown)
			}
		}
	})

	t.Run("lets no other origin in, and none where none is listed", func(t *testing.T) {
		t.Parallel()
		closed := setup(t)
		for _, r := range []reply{
			preflight("http://localhost:5174"), preflight("http://localhost:5173.evil.example"), preflight("null"),
			closed.do(t, http.MethodGet, "/healthz", "", "Origin", "http://localhost:5173"),
		} {
			if got := r.header.Get("Access-Control-Allow-Origin"); got != "" {
				t.Errorf("lets %s in", got)
			}
		}
	})
}

func TestProblemIsWhatRFC9457Says(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(edge.Problem{Type: "t", Title: "T", Status: 422, Detail: "d", Code: "invalid", Errors: []edge.Flaw{{Pointer: "/text"}}})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"type":"t","title":"T","status":422,"detail":"d","code":"invalid","errors":[{"pointer":"/text","detail":"","code":""}]}`; string(b) != want {
		t.Errorf("%s", b)
	}
}
