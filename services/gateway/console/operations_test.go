package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/services/gateway/console"
)

// TestOperationsAreForOperators: who runs the system sees how it does, with what to run; nobody else finds the page, a word of it in
// the menu, or a way to it, and the API is not even asked for them.
func TestOperationsAreForOperators(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	p := f.signedIn("ada").get("/console/operations")
	for _, want := range []string{"publisher-recorder", "threads doctor", "threads dead list", "threads reconcile", "threads explain POST", "nats consumer", "<svg class=\"histogram\"", "70.0 %", "not known"} {
		if p.status != http.StatusOK || !strings.Contains(p.body, want) {
			t.Errorf("%d, without %s", p.status, want)
		}
	}
	for name, c := range map[string]*client{
		"another": f.signedIn("bob"), "where nobody is one": newFake(t, func(o *console.Options) { o.Operator = nil }).signedIn("ada"),
	} {
		var asked bool
		c.mu.Lock()
		c.onCall = func(r *http.Request) { asked = asked || strings.HasPrefix(r.URL.Path, "/api/threads/operations") }
		c.mu.Unlock()
		form := url.Values{"form": {c.formToken()}}
		for _, p := range []page{c.get("/console/operations"), c.get("/console/operations?operator=true"), c.send(http.MethodPost, "/console/operations", form), c.send(http.MethodHead, "/console/operations", nil)} {
			if p.status != http.StatusNotFound && p.status != http.StatusMethodNotAllowed || strings.Contains(p.body, "publisher-recorder") {
				t.Errorf("%s: %d", name, p.status)
			}
		}
		for _, at := range []string{"/", "/developers", "/operations"} {
			if p := c.get("/console" + at); strings.Contains(p.body, "/console/operations") || strings.Contains(p.body, "Operations") {
				t.Errorf("%s: %s leads there", name, at)
			}
		}
		if asked {
			t.Errorf("%s: the API was asked", name)
		}
	}
	// Who forges the claim for themselves sees what the API says to them.
	f.answer("GET /api/threads/operations", trouble(http.StatusNotFound, "not_found", "There is none."))
	if p := f.signedIn("ada").get("/console/operations"); p.status != http.StatusNotFound || strings.Contains(p.body, "publisher-recorder") {
		t.Errorf("%d", p.status)
	}
}

// TestOperationsOfTheWholeSystem: an operator of a running system sees the post that went out, and every consumer.
func TestOperationsOfTheWholeSystem(t *testing.T) {
	s := start(t, "AUTH_OPERATOR_CLAIM", "sub=user_demo")
	b := browse(t, s.url)
	b.signIn()
	b.open("/operations")
	b.see("main", "No post has gone out yet")
	b.connect()
	b.open("/compose")
	b.fill("#text", "Counted")
	b.click("[name=when][value=now]", "#text")
	b.click(".send [value=send]", "#post")
	b.see(".badge", "Published")
	b.open("/operations")
	for end := time.Now().Add(patience); !strings.Contains(b.text("main"), "Posts looked at: 1") && time.Now().Before(end); { // the row is written after the event
		b.open("/operations")
	}
	b.see("main", "Posts looked at: 1")
	if n := eval[int](b, `[...document.querySelectorAll("tr")].filter((r) => r.innerText.includes("not known")).length`); n > 0 {
		t.Errorf("%d consumers are not known", n)
	}
	if strings.Contains(b.text("main"), "Counted") {
		t.Error("it has the text of a post")
	}
	b.shot("40-operations")
	b.width(360)
	b.open("/operations")
	b.shot("41-operations-narrow")
}
