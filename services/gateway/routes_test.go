package gateway_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// surface is every route that is promised to others.
var surface = []string{
	"DELETE /api/threads/connection",
	"DELETE /api/threads/post/schedule/{id}",
	"DELETE /api/threads/post/{id}",
	"DELETE /api/threads/webhooks/{id}",
	"GET /api/auth/threads",
	"GET /api/auth/threads/callback",
	"GET /api/threads/commands/{id}",
	"GET /api/threads/connection",
	"GET /api/threads/connections",
	"GET /api/threads/data-deletion/{code}",
	"GET /api/threads/events",
	"GET /api/threads/events/recent",
	"GET /api/threads/history/import",
	"GET /api/threads/insights",
	"GET /api/threads/limits",
	"GET /api/threads/locations",
	"GET /api/threads/me",
	"GET /api/threads/mentions",
	"GET /api/threads/operations",
	"GET /api/threads/post/schedule",
	"GET /api/threads/post/{id}",
	"GET /api/threads/post/{id}/insights",
	"GET /api/threads/post/{id}/replies",
	"GET /api/threads/posts",
	"GET /api/threads/profiles/{username}",
	"GET /api/threads/profiles/{username}/posts",
	"GET /api/threads/search",
	"GET /api/threads/webhook",
	"GET /api/threads/webhooks",
	"GET /api/threads/webhooks/{id}",
	"GET /api/threads/webhooks/{id}/deliveries",
	"PATCH /api/threads/post/schedule/{id}",
	"PATCH /api/threads/webhooks/{id}",
	"POST /api/auth/threads/confirm",
	"POST /api/auth/ticket",
	"POST /api/threads/connect/finish",
	"POST /api/threads/data-deletion",
	"POST /api/threads/history/import",
	"POST /api/threads/post",
	"POST /api/threads/post/import",
	"POST /api/threads/post/schedule",
	"POST /api/threads/post/validate",
	"POST /api/threads/post/{id}/repost",
	"POST /api/threads/post/{id}/resolve",
	"POST /api/threads/post/{id}/retry",
	"POST /api/threads/refresh",
	"POST /api/threads/replies/{id}/approve",
	"POST /api/threads/replies/{id}/hide",
	"POST /api/threads/uninstall",
	"POST /api/threads/webhook",
	"POST /api/threads/webhooks",
	"POST /api/threads/webhooks/{id}/deliveries/{deliveryId}/resend",
	"POST /api/threads/webhooks/{id}/rotate",
	"POST /api/threads/webhooks/{id}/test",
}

func TestSurface(t *testing.T) {
	t.Parallel()
	h := setup(t)

	t.Run("is described, route for route, in /openapi.json", func(t *testing.T) {
		t.Parallel()
		var doc struct {
			OpenAPI string
			Paths   map[string]map[string]struct {
				Responses map[string]json.RawMessage
				Security  []map[string][]string
			}
		}
		h.do(t, http.MethodGet, "/openapi.json", "", "Authorization", "").is(t, http.StatusOK, &doc)
		var described []string
		for path, methods := range doc.Paths {
			for method, op := range methods {
				route := strings.ToUpper(method) + " " + path
				described = append(described, route)
				if _, ok := op.Responses["401"]; !ok || len(op.Responses) < 2 {
					t.Errorf("%s describes only %v", route, op.Responses)
				}
				open := strings.HasPrefix(path, "/api/auth/threads") || path == "/api/threads/webhook" || // Meta comes without a token
					path == "/api/threads/uninstall" || strings.HasPrefix(path, "/api/threads/data-deletion")
				if open == (len(op.Security) > 0) {
					t.Errorf("%s has security %v", route, op.Security)
				}
			}
		}
		slices.Sort(described)
		if !slices.Equal(described, surface) {
			t.Errorf("described are\n%s", strings.Join(described, "\n"))
		}
	})

	t.Run("lets nobody in without a token", func(t *testing.T) {
		t.Parallel()
		for _, route := range surface {
			method, path, _ := strings.Cut(route, " ")
			if strings.HasSuffix(path, "/callback") || strings.HasSuffix(path, "/confirm") || path == "/api/threads/webhook" ||
				path == "/api/threads/uninstall" || strings.HasPrefix(path, "/api/threads/data-deletion") {
				continue // the browser comes back from Threads, or from our page, without one, and Meta signs
			}
			for _, header := range []string{"", "Basic YWRhOmFkYQ==", "Bearer", "Bearer x.y.z"} {
				r := h.do(t, method, strings.NewReplacer("{id}", "post_1", "{deliveryId}", "dlv_1").Replace(path), "", "Authorization", header)
				r.problem(t, http.StatusUnauthorized, "unauthorized", "/Authorization")
				challenge := "Bearer"
				if strings.Contains(header, ".") {
					challenge = `Bearer error="invalid_token"` // RFC 6750: only where there is a token
				}
				if got := r.header.Get("WWW-Authenticate"); got != challenge {
					t.Errorf("%s: challenge %q", route, got)
				}
			}
		}
	})

	t.Run("answers cheaply that it lives", func(t *testing.T) {
		t.Parallel()
		if r := h.do(t, http.MethodGet, "/healthz", "", "Authorization", ""); r.status != http.StatusOK || compact(t, r.body) != `{"ok":true}` {
			t.Errorf("%d %s", r.status, r.body)
		}
	})

	t.Run("says what is not there, and which methods are", func(t *testing.T) {
		t.Parallel()
		h.do(t, http.MethodGet, "/api/threads/nothing", "").problem(t, http.StatusNotFound, "no_such_route")
		r := h.do(t, http.MethodPut, "/api/threads/post/schedule/post_1", "")
		r.problem(t, http.StatusMethodNotAllowed, "method_not_allowed")
		if allow := r.header.Get("Allow"); allow != "DELETE, PATCH" {
			t.Errorf("Allow: %q", allow)
		}
	})

	t.Run("keeps a harmless request id, and makes one in the place of any other", func(t *testing.T) {
		t.Parallel()
		for offered, kept := range map[string]bool{
			"abc-123_x.y": true, "": false, strings.Repeat("a", 65): false, "a b": false, `a"b`: false,
		} {
			id := h.do(t, http.MethodGet, "/healthz", "", "X-Request-Id", offered).header.Get("X-Request-Id")
			if id == "" || (id == offered) != kept {
				t.Errorf("%q became %q", offered, id)
			}
		}
	})

	t.Run("tells browsers to do nothing else with an answer", func(t *testing.T) {
		t.Parallel()
		header := h.do(t, http.MethodGet, "/healthz", "").header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
			"Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": "", // without https
		} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %q", name, got)
			}
		}
		if !strings.Contains(header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Error("may be framed")
		}
	})
}
