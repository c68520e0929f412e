package gateway_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/omni-write/threads/services/gateway"
)

func TestDocs(t *testing.T) {
	t.Parallel()
	h := setup(t)
	get := func(path, contentType string) string {
		t.Helper()
		r := h.do(t, http.MethodGet, path, "", "Authorization", "")
		r.is(t, http.StatusOK, nil)
		if got := r.header.Get("Content-Type"); got != contentType {
			t.Errorf("%s is %s", path, got)
		}
		csp := r.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; style-src 'self'; script-src 'self';") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") {
			t.Errorf("%s has the policy %s", path, csp)
		}
		return string(r.body)
	}
	front := h.do(t, http.MethodGet, "/", "", "Authorization", "")
	front.is(t, http.StatusFound, nil)
	if to := front.header.Get("Location"); to != "/docs" {
		t.Errorf("the front page leads to %q", to)
	}
	page := get("/docs", "text/html; charset=utf-8")
	css, js := get("/docs/page.css", "text/css; charset=utf-8"), get("/docs/page.js", "text/javascript; charset=utf-8")

	if types := get("/docs/events.d.ts", "text/plain; charset=utf-8"); !strings.Contains(types, `"post.published.v1"`) {
		t.Error("the types are not those of the events")
	}
	if messages := get("/docs/asyncapi.yaml", "text/plain; charset=utf-8"); !strings.Contains(messages, "post.published.v1") {
		t.Error("the description is not that of the events")
	}

	operationsOf(parsed(t, served(t)), func(route, _ string, op spec) {
		for _, want := range []string{`id="` + op["operationId"].(string) + `"`, `data-operation="` + route + `"`} {
			if strings.Count(page, want) != 1 {
				t.Errorf("%s is not on the page once: %s", route, want)
			}
		}
	})
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		target := m[1]
		if name, ok := strings.CutPrefix(target, "#"); ok {
			if !strings.Contains(page, `id="`+name+`"`) {
				t.Errorf("a link to %s leads nowhere", target)
			}
			continue
		}
		h.do(t, http.MethodGet, "/"+target, "", "Authorization", "").is(t, http.StatusOK, nil) // all are our own
	}
	if regexp.MustCompile(`url\(|@import`).MatchString(css) || regexp.MustCompile(`fetch|import|https?:`).MatchString(js) {
		t.Error("the style or the script loads something")
	}
	if regexp.MustCompile(`<(?:style|img|iframe|link[^>]*//)|<script(?: defer)?>|\son\w+=|\sstyle=`).MatchString(page) {
		t.Error("the page has what its policy forbids")
	}
	if strings.Contains(page, "ZgotmplZ") || strings.Contains(page, "%!") {
		t.Error("the page has a hole")
	}
}

// What anybody may read costs little: it is kept by whoever has it, small on the way, and not for the asking without end.
func TestDocsAreKeptSmallAndRated(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *gateway.Config) { c.RateAnonymous = 30 })
	for _, path := range []string{"/docs", "/openapi.json", "/openapi.yaml", "/openapi-3.0.json", "/openapi-3.0.yaml"} {
		plain := h.do(t, http.MethodGet, path, "", "Authorization", "", "Accept-Encoding", "identity")
		plain.is(t, http.StatusOK, nil)
		small := h.do(t, http.MethodGet, path, "", "Authorization", "", "Accept-Encoding", "gzip")
		small.is(t, http.StatusOK, nil)
		if small.header.Get("Content-Encoding") != "gzip" || len(small.body) > len(plain.body)/4 || small.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %d bytes of %d, %v", path, len(small.body), len(plain.body), small.header)
		}
		tag := plain.header.Get("ETag")
		if tag == "" || plain.header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %v", path, plain.header)
		}
		again := h.do(t, http.MethodGet, path, "", "Authorization", "", "Accept-Encoding", "identity", "If-None-Match", tag)
		if again.is(t, http.StatusNotModified, nil); len(again.body) > 0 {
			t.Errorf("%s: %d bytes again", path, len(again.body))
		}
	}
	h.do(t, http.MethodGet, "/favicon.ico", "", "Authorization", "").is(t, http.StatusOK, nil)
	for n := 0; ; n++ {
		r := h.do(t, http.MethodGet, "/docs", "", "Authorization", "")
		if r.status == http.StatusTooManyRequests {
			if r.header.Get("Retry-After") == "" || r.header.Get("RateLimit-Policy") == "" {
				t.Errorf("%v", r.header)
			}
			break
		}
		if n > 30 {
			t.Fatal("there is no end to it")
		}
	}
	h.do(t, http.MethodGet, "/api/threads/connections", "", "Authorization", "").is(t, http.StatusUnauthorized, nil) // counted by itself
}
