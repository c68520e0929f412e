package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/omni-write/threads/services/gateway/console"
)

// TestDevelopers: without scripts a webhook is made, its secret is shown in that answer alone, it is paused, tested and deleted, and
// each does one thing at the API.
func TestDevelopers(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.signedIn("ada")
	form := func(pairs ...string) url.Values {
		v := url.Values{"form": {c.formToken()}}
		for i := 0; i+1 < len(pairs); i += 2 {
			v.Add(pairs[i], pairs[i+1])
		}
		return v
	}
	made := c.send(http.MethodPost, "/console/developers/webhooks", form("url", "https://hooks.example.com/x", "key", "k"))
	if made.status != http.StatusOK || !strings.Contains(made.body, "whsec_x") || made.header.Get("Cache-Control") != "no-store" {
		t.Errorf("made: %d %s %s", made.status, made.header.Get("Cache-Control"), made.body)
	}
	turned := c.send(http.MethodPost, "/console/developers/webhooks/whk_1/rotate", form())
	if turned.status != http.StatusOK || !strings.Contains(turned.body, "whsec_y") || turned.header.Get("Cache-Control") != "no-store" {
		t.Errorf("turned: %d %s", turned.status, turned.body)
	}
	for _, at := range []string{"/developers", "/developers/webhooks/whk_1"} {
		if p := c.get("/console" + at); p.status != http.StatusOK || strings.Contains(p.body, "whsec_") {
			t.Errorf("%s: %d, or it has the secret", at, p.status)
		}
	}
	const at = "/api/threads/webhooks/whk_1"
	for _, act := range []struct{ path, do, call string }{
		{"/whk_1/status", "pause", "PATCH " + at}, {"/whk_1/status", "activate", "PATCH " + at}, {"/whk_1/test", "", "POST " + at + "/test"},
		{"/whk_1/deliveries/dlv_1/resend", "", "POST " + at + "/deliveries/dlv_1/resend"}, {"/whk_1/delete", "", "DELETE " + at},
	} {
		f.answer(act.call, map[string]any{})
		before := len(f.called())
		p := c.send(http.MethodPost, "/console/developers/webhooks"+act.path, form("do", act.do))
		if calls := f.called()[before:]; p.status != http.StatusSeeOther || len(calls) != 1 || calls[0] != act.call {
			t.Errorf("%s: %d, %v", act.path, p.status, calls)
		}
		if p := c.get(p.header.Get("Location")); !strings.Contains(p.body, `class="notice"`) {
			t.Errorf("%s: nothing is said of it", act.path)
		}
	}
	// An answer that comes again has no secret, and says what to do.
	f.answer("POST /api/threads/webhooks", map[string]any{"id": "whk_1", "url": "https://hooks.example.com/x"})
	if p := c.send(http.MethodPost, "/console/developers/webhooks", form("url", "https://hooks.example.com/x", "key", "k")); !strings.Contains(p.body, "give the webhook a new one") {
		t.Errorf("%s", p.body)
	}
	// What is refused is there again, with why.
	f.answer("POST /api/threads/webhooks", trouble(http.StatusUnprocessableEntity, "invalid", "No.", map[string]any{"pointer": "/url", "detail": "It must be https."}))
	p := c.send(http.MethodPost, "/console/developers/webhooks", form("url", "http://x.example", "description", "Mine", "kind", "post.failed"))
	for _, want := range []string{`value="http://x.example"`, "It must be https.", `value="Mine"`, `value="post.failed" checked`} {
		if p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, want) {
			t.Errorf("%d, without %s", p.status, want)
		}
	}
}

// TestTokenIsForDevelopment: where tokens are of the issuer in this process, a person may see theirs, in the answer to a form and in no
// other; elsewhere there is no such page.
func TestTokenIsForDevelopment(t *testing.T) {
	t.Parallel()
	for _, dev := range []bool{true, false} {
		f := newFake(t, func(o *console.Options) { o.DevTokens = dev })
		c := f.signedIn("ada")
		at, _ := url.Parse(f.server.URL)
		token := c.http.Jar.Cookies(at)[0].Value
		if p := c.get("/console/developers"); strings.Contains(p.body, "/console/developers/token") != dev || strings.Contains(p.body, token) {
			t.Errorf("dev %t: the page offers it, or has it", dev)
		}
		if p := c.get("/console/developers/token"); p.status == http.StatusOK || strings.Contains(p.body, token) {
			t.Errorf("dev %t: it can be asked for with GET: %d", dev, p.status)
		}
		p := c.send(http.MethodPost, "/console/developers/token", url.Values{"form": {c.formToken()}})
		if (p.status == http.StatusOK && strings.Contains(p.body, "TOKEN="+token)) != dev {
			t.Errorf("dev %t: %d", dev, p.status)
		}
		if dev && p.header.Get("Cache-Control") != "no-store" {
			t.Errorf("it may be kept: %q", p.header.Get("Cache-Control"))
		}
		if !dev && strings.Contains(p.body, token) {
			t.Error("it is shown outside of development")
		}
	}
}

// TestWebhookIsBrought: on the whole system, a webhook that was made in the browser gets a test, its log shows it, and events are on the page
// without a reload.
func TestWebhookIsBrought(t *testing.T) {
	s := start(t)
	b := browse(t, s.url)
	b.allowed = []string{"status of 422"}
	b.signIn()
	b.open("/developers")
	b.see("#events", "Nothing has happened yet")
	b.shot("30-developers-empty")
	b.connect()
	b.ready()
	b.do("g d", chromedp.KeyEvent("g"), chromedp.KeyEvent("d"))
	b.see("#events", "account.connected")
	// No reload. What happens before the page's stream is open is not told on it, and nothing outside of the browser says when that is.
	for end := time.Now().Add(patience); !strings.Contains(b.text("#events"), "Told as it happens") && time.Now().Before(end); {
		s.schedule(t, "Told as it happens", 5*time.Hour)
		eval[bool](b, `new Promise((done) => setTimeout(() => done(true), 500))`)
	}
	b.see("#events", "Told as it happens")
	b.click("#events .row-main", ".code")
	b.see(".code", `"text": "Told as it happens"`)

	got := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("Webhook-Id") }))
	t.Cleanup(server.Close)
	b.open("/developers/webhooks/new")
	b.fill("#url", "nothing:of-the-web")
	b.click("button.primary", ".wrong")
	b.shot("31-webhook-refused")
	b.fill("#url", server.URL)
	b.fill("#description", "This machine")
	b.click("button.primary", ".code")
	b.see(".code", "whsec_")
	b.click("main a.primary", "#webhook")
	b.see("#webhook", "Nothing was sent to it yet")
	b.click("form[action$='/test'] button", ".notice")
	select {
	case id := <-got:
		if id == "" {
			t.Error("it has no id")
		}
	case <-time.After(patience):
		t.Fatal("nothing was brought")
	}
	for !strings.Contains(b.text("#webhook"), "Delivered") { // the log is written after the answer
		b.do("look again", chromedp.Reload(), chromedp.WaitVisible(chromedp.CSS("#webhook")))
	}
	b.click("summary", "table")
	b.see("table", "200")
	b.shot("32-webhook")
	b.open("/developers")
	b.click("form[action$='/token'] button", ".code")
	b.see(".code", "TOKEN=ey")
	for _, dark := range []bool{false, true} {
		b.dark(dark)
		b.open("/developers")
		b.shot(map[bool]string{false: "33-developers", true: "33-developers-dark"}[dark])
	}
}
