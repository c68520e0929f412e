package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/omni-write/threads/services/gateway/console"
)

// pages are all pages, of posts in every state.
func pages() []string {
	list := []string{
		"/", "/compose", "/compose?text=x", "/posts", "/posts?show=all", "/posts?show=published&search=" + url.QueryEscape(evil), "/posts?show=parked&reason=" + url.QueryEscape(evil) + "&from=" + url.QueryEscape(evil) + "&account=" + url.QueryEscape(evil),
		"/calendar", "/calendar?view=week", "/calendar?view=day", "/calendar?view=list&show=failed", "/calendar?view=week&search=" + url.QueryEscape(evil) + "&account=" + url.QueryEscape(evil) + "&at=" + url.QueryEscape(evil),
		"/calendar?done=moved&was=2026-11-30T10:00:00Z&post=post_scheduled", "/calendar?done=moved&post=" + url.QueryEscape(evil), "/accounts", "/accounts?reason=" + url.QueryEscape(evil), "/accounts/acct_1/leave", "/settings", "/posts/nobody",
		"/operations",
		"/developers", "/developers?kind=post.failed", "/developers?kind=" + url.QueryEscape(evil), "/developers/events/b-1", "/developers/events/b-2", "/developers/events/b-4", "/developers/events/none",
		"/developers/webhooks/new", "/developers/webhooks/whk_1", "/developers/webhooks/whk_2?after=" + url.QueryEscape(evil), "/developers/webhooks/whk_3", "/developers/webhooks/whk_4", "/developers/webhooks/none",
	}
	for state := range states {
		list = append(list, "/posts/post_"+string(state))
	}
	return append(list, "/posts/post_scheduled/edit", "/posts/post_scheduled/move", "/posts/post_scheduled?done=moved&was=2026-11-30T10:00:00Z", "/compose?quote="+url.QueryEscape(evil)+"&replyTo="+url.QueryEscape(evil)+"&text="+url.QueryEscape(evil))
}

var (
	inlineScript = regexp.MustCompile(`(?i)<script(?:>| [^>]*>[^<])`)
	liveImage    = regexp.MustCompile(`(?i)<img`)
	liveLink     = regexp.MustCompile(`(?i)(?:href|src|action|formaction)\s*=\s*["']?\s*(?:javascript|data|vbscript):`)
	inlineStyle  = regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=["']`)
)

// TestPlantedScripts plants scripts in whatever a person or Threads can fill, and looks at every page: none runs, and none is
// even there. Every page may load what this server has and nothing else, and nobody else may show it.
func TestPlantedScripts(t *testing.T) {
	f := newFake(t)
	c := f.signedIn("ada" + evil)
	look := func(at string, p page) {
		t.Helper()
		if p.status >= 500 || !strings.Contains(p.body, "<h1") && !strings.Contains(p.body, "<h2") {
			t.Errorf("%s: %d\n%s", at, p.status, p.body)
		}
		for what, pattern := range map[string]*regexp.Regexp{"script": inlineScript, "image": liveImage, "link": liveLink, "style or handler": inlineStyle} {
			if found := pattern.FindString(p.body); found != "" {
				t.Errorf("%s has a live %s: %s", at, what, found)
			}
		}
		policy := p.header.Get("Content-Security-Policy")
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
			t.Errorf("%s: %s", at, policy)
		}
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: no %s", at, want)
			}
		}
		if p.header.Get("X-Frame-Options") != "DENY" || p.header.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s: %v", at, p.header)
		}
	}
	for _, at := range pages() {
		look(at, c.get("/console"+at))
	}
	form := url.Values{"form": {c.formToken()}, "text": {"||" + evil + "||" + evil + "\n---\n||" + evil + "||"}, "media_url": {evil}, "media_alt": {evil}, "media_type": {evil}, "media_part": {evil}, "poll": {evil},
		"topic": {evil}, "link": {evil}, "location": {"1 " + evil}, "place": {evil}, "zone": {evil}, "date": {evil}, "time": {evil}, "quote": {evil}, "reply_to": {evil}, "account": {evil}, "key": {evil}, "rev": {evil}, "decided": {evil}, "fold": {evil}, "reply_control": {evil}}
	look("compose", c.send(http.MethodPost, "/console/compose", form))
	look("edit", c.send(http.MethodPost, "/console/posts/post_scheduled/edit", form))
	for _, do := range []string{"preview", "restore", "places", "part", "split", "earlier-1", "later-0", "add", "up-0", "down-0", "drop-0", "up-x", "later-999999999999999999999", "earlier--1", evil, "check"} {
		form.Set("do", do)
		look(do, c.send(http.MethodPost, "/console/compose", form))
	}
	if calls := f.called(); len(calls) > 0 {
		t.Errorf("a button that changes the form did %v", calls)
	}
	// Both versions of a conflict, each with what the other person may have planted.
	form.Set("do", "send")
	form.Set("text", "||"+evil+"||"+evil+"\n---\n"+evil)
	f.answer("POST /api/threads/post/validate", map[string]any{"valid": true})
	f.answer("PATCH /api/threads/post/schedule/post_scheduled", trouble(http.StatusPreconditionFailed, "conflict", planted("It has changed.")))
	if p := c.send(http.MethodPost, "/console/posts/post_scheduled/edit", form); !strings.Contains(p.body, "As it is now") {
		t.Errorf("no conflict: %s", p.body)
	} else {
		look("conflict", p)
	}
	for _, status := range []int{http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		f.answer("PATCH /api/threads/post/schedule/post_scheduled", later(evil, trouble(status, "x", planted("No."))))
		if p := c.send(http.MethodPost, "/console/posts/post_scheduled/edit", form); p.status != status {
			t.Errorf("%d: %d", status, p.status)
		} else if status != http.StatusServiceUnavailable {
			look("refused", p)
		}
	}
	form.Set("form", "another")
	hook := url.Values{"form": {c.formToken()}, "url": {evil}, "description": {evil}, "kind": {evil}, "account": {evil}, "key": {evil}}
	look("secret", c.send(http.MethodPost, "/console/developers/webhooks", hook))
	look("new secret", c.send(http.MethodPost, "/console/developers/webhooks/whk_1/rotate", hook))
	f.answer("POST /api/threads/webhooks", trouble(http.StatusUnprocessableEntity, "invalid", planted("No."),
		map[string]any{"pointer": "/url", "detail": planted("Not there.")}, map[string]any{"pointer": "/facts/0", "detail": planted("None.")}, map[string]any{"pointer": "/x", "detail": planted("Else.")}))
	look("refused webhook", c.send(http.MethodPost, "/console/developers/webhooks", hook))
	look("kept", c.send(http.MethodPost, "/console/compose?"+url.QueryEscape(evil), form))
	f.client().send(http.MethodPost, "/console/compose", form)
}

// TestPlantedScriptsInABrowser opens the same pages in a real browser, which would run what is not as it should be.
func TestPlantedScriptsInABrowser(t *testing.T) {
	f := newFake(t)
	b := browse(t, f.server.URL)
	b.allowed = []string{"status of 404", "status of 401"}
	token, err := f.issuer.Token("ada", 3600e9)
	if err != nil {
		t.Fatal(err)
	}
	b.cookie("console_session", token)
	for _, at := range pages() {
		b.open(at)
		b.clean(at)
	}
	// What the editor makes of it without a new page, and what it brings back of a draft.
	b.open("/compose")
	b.ready()
	b.fill("#text", "||"+evil+"||\n---\n"+evil)
	b.fill("#url-0", evil)
	b.see("#thread .tiles", "onerror")
	b.clean("the preview")
	eval[bool](b, `document.querySelector("#options").open = true`)
	b.fill("#place", evil)
	b.do("find", chromedp.Click(chromedp.CSS("[value=places]")))
	b.see(".places", "The mill")
	b.do("choose", chromedp.Click(chromedp.CSS(".places label")))
	b.see("#thread", "The mill")
	b.clean("the places")
	b.do("reload", chromedp.Reload())
	b.do("restored", chromedp.WaitVisible(chromedp.CSS("#restored")))
	b.see("#thread", "The mill")
	b.clean("the draft")
	if text := eval[string](b, `document.querySelector("#text").value`); text != "||"+evil+"||\n---\n"+evil {
		t.Errorf("brought back: %q", text)
	}
}

// clean says that nothing on the page is from elsewhere.
func (b *browser) clean(at string) {
	b.Helper()
	if n := eval[int](b, `document.querySelectorAll("main img, main script, main iframe").length`); n > 0 {
		b.Errorf("%s has %d foreign elements", at, n)
	}
}

func (b *browser) cookie(name, value string) {
	if _, err := chromedp.Call(b.ctx, network.SetCookie, network.SetCookieParams{Name: name, Value: value, URL: b.base, HTTPOnly: ptr(true)}); err != nil {
		b.Fatal(err)
	}
}

// TestForms: what a form asks for is done for who filled it in, from a page of ours, and from nowhere else.
func TestForms(t *testing.T) {
	t.Parallel()
	acts := []string{
		"/compose", "/posts/post_scheduled/edit", "/posts/post_scheduled/move", "/posts/post_scheduled/cancel", "/posts/post_failed/retry", "/posts/post_parked/resolve",
		"/posts/post_published/repost", "/posts/post_published/delete", "/posts/post_published/reply", "/posts/post_published/replies/991", "/accounts/acct_1/refresh", "/accounts/acct_1/leave", "/settings",
		"/developers/webhooks", "/developers/webhooks/whk_1/status", "/developers/webhooks/whk_1/test", "/developers/webhooks/whk_1/rotate", "/developers/webhooks/whk_1/delete",
		"/developers/webhooks/whk_1/deliveries/dlv_1/resend", "/developers/token",
	}
	f := newFake(t, func(o *console.Options) { o.DevTokens = true })
	c := f.signedIn("ada")
	other := f.signedIn("bob")
	good, bobs := c.formToken(), other.formToken()
	for _, at := range acts {
		form := url.Values{"text": {"What I typed"}, "live": {"no"}, "do": {"hidden"}}
		for name, token := range map[string]string{"none": "", "made up": "x", "of another person's browser": bobs} {
			form.Set("form", token)
			p := c.send(http.MethodPost, "/console"+at, form)
			if p.status != http.StatusUnauthorized || !strings.Contains(p.body, "What I typed") {
				t.Errorf("%s with a token that is %s: %d", at, name, p.status)
			}
		}
		form.Set("form", good)
		for _, from := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
			if p := c.send(http.MethodPost, "/console"+at, form, from...); p.status != http.StatusForbidden {
				t.Errorf("%s from %v: %d", at, from, p.status)
			}
		}
		if p := f.client().send(http.MethodPost, "/console"+at, form); p.status != http.StatusUnauthorized || !strings.Contains(p.body, "What I typed") {
			t.Errorf("%s without a session: %d", at, p.status)
		}
		if p := c.get("/console" + at + "?" + form.Encode()); p.status == http.StatusSeeOther && strings.Contains(p.header.Get("Location"), "done=") {
			t.Errorf("GET %s acts", at)
		}
	}
	if calls := f.called(); len(calls) > 0 {
		t.Errorf("the API was called: %v", calls)
	}
	// With the right token it is done.
	f.answer("DELETE /api/threads/post/schedule/post_scheduled", map[string]any{"id": "post_scheduled"})
	if p := c.send(http.MethodPost, "/console/posts/post_scheduled/cancel", url.Values{"form": {good}}, "Sec-Fetch-Site", "same-origin"); p.status != http.StatusSeeOther {
		t.Errorf("%d %s", p.status, p.body)
	}
	if calls := f.called(); len(calls) != 1 {
		t.Errorf("%v", calls)
	}
}

// TestAFormOutlivesTheSession: what was typed is sent once the same person is signed in again, and not in another's name.
func TestAFormOutlivesTheSession(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	c := f.signedIn("ada")
	form := url.Values{"form": {c.formToken()}, "text": {"Typed for an hour"}, "do": {"check"}}
	at, _ := url.Parse(f.server.URL)
	c.http.Jar.SetCookies(at, []*http.Cookie{{Name: "console_session", Path: "/", MaxAge: -1}})
	p := c.send(http.MethodPost, "/console/compose", form)
	if p.status != http.StatusUnauthorized || !strings.Contains(p.body, "Typed for an hour") || !strings.Contains(p.body, "/console/sign-in") {
		t.Fatalf("%d %s", p.status, p.body)
	}
	c.session("bob")
	if p := c.send(http.MethodPost, "/console/compose", form); p.status != http.StatusUnauthorized || !strings.Contains(p.body, "Is this still you?") {
		t.Errorf("as bob: %d", p.status)
	}
	c.session("ada")
	if p := c.send(http.MethodPost, "/console/compose", form); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "Typed for an hour") {
		t.Errorf("as ada: %d %s", p.status, p.body)
	}
	// A session that the API refuses is over as well.
	f.answer("POST /api/threads/post/validate", trouble(http.StatusUnauthorized, "unauthorized", "Sign in first."))
	if p := c.send(http.MethodPost, "/console/compose", form); p.status != http.StatusUnauthorized || !strings.Contains(p.body, "Typed for an hour") {
		t.Errorf("refused: %d", p.status)
	}
}

// TestSignIn walks through a sign-in, and through what somebody else may try with one.
func TestSignIn(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	enter := func(c *client, to string) (callback string) {
		t.Helper()
		p := c.get("/console/sign-in/start?return=" + url.QueryEscape(to))
		ask, err := url.Parse(p.header.Get("Location"))
		if err != nil || p.status != http.StatusSeeOther || ask.Query().Get("code_challenge_method") != "S256" || ask.Query().Get("state") == "" {
			t.Fatalf("%d %s", p.status, p.header.Get("Location"))
		}
		form := ask.Query()
		form.Set("sub", "ada")
		return c.send(http.MethodPost, f.issues.URL+"/authorize", form).header.Get("Location")
	}
	c := f.client()
	if p := c.get("/console/posts?show=failed"); p.status != http.StatusSeeOther || p.header.Get("Location") != "/console/sign-in?return=%2Fconsole%2Fposts%3Fshow%3Dfailed" {
		t.Errorf("%d %v", p.status, p.header)
	}
	back := enter(c, "/console/posts?show=failed")
	p := c.get(back)
	if p.status != http.StatusSeeOther || p.header.Get("Location") != "/console/posts?show=failed" {
		t.Fatalf("%d %v %s", p.status, p.header, p.body)
	}
	for _, cookie := range p.header.Values("Set-Cookie") {
		if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
			t.Errorf("%s", cookie)
		}
	}
	if p := c.get("/console/posts?show=failed"); p.status != http.StatusOK {
		t.Errorf("%d", p.status)
	}
	if p := c.get(back); p.status != http.StatusBadRequest {
		t.Errorf("the same answer again: %d", p.status)
	}

	// Somebody else's answer, put into this browser: nobody is signed in by it.
	victim := f.client()
	stolen := enter(f.client(), "/console/")
	if p := victim.get(stolen); p.status != http.StatusBadRequest || strings.Contains(strings.Join(p.header.Values("Set-Cookie"), ""), "console_session=ey") {
		t.Errorf("without a flow: %d", p.status)
	}
	own := enter(victim, "/console/")
	mixed, _ := url.Parse(own)
	theirs, _ := url.Parse(stolen)
	q := mixed.Query()
	q.Set("code", theirs.Query().Get("code"))
	mixed.RawQuery = q.Encode()
	if p := victim.get(mixed.String()); p.status != http.StatusBadRequest {
		t.Errorf("with another's code: %d", p.status)
	}

	// Nobody is led elsewhere.
	for _, to := range []string{
		"https://evil.example/", "//evil.example/", `/\evil.example`, "/\\/evil.example", "/console/..//evil.example", "/console//evil.example", "javascript:alert(1)", "/console/../../evil", "http:/console/", "/consoleevil",
		"/elsewhere", "", "/console/sign-in?return=x", "/console/\r\nSet-Cookie: x=y", "https:evil.example", "/%5cevil.example", "%2f%2fevil.example", "//console/",
	} {
		c := f.client()
		if p := c.get(enter(c, to)); p.header.Get("Location") != "/console/" {
			t.Errorf("%q leads to %q", to, p.header.Get("Location"))
		}
	}

	// Signing out ends it, and another page cannot do it.
	if p := c.send(http.MethodPost, "/console/sign-out", url.Values{}, "Sec-Fetch-Site", "cross-site"); p.status != http.StatusForbidden {
		t.Errorf("%d", p.status)
	}
	c.send(http.MethodPost, "/console/sign-out", url.Values{"form": {c.formToken()}})
	if p := c.get("/console/"); p.status != http.StatusSeeOther {
		t.Errorf("signed out, and %d", p.status)
	}
	// The stream is for who is signed in, and for pages of ours.
	if p := c.get("/console/live"); p.status != http.StatusUnauthorized {
		t.Errorf("%d", p.status)
	}
	c.session("ada")
	if p := c.get("/console/live", "Sec-Fetch-Site", "cross-site"); p.status != http.StatusUnauthorized {
		t.Errorf("%d", p.status)
	}
}

// TestCookiesOverHTTPS: where there is https, cookies have the prefix that no other host can plant, and two of a name are none.
func TestCookiesOverHTTPS(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(o *console.Options) {
		o.Base = &url.URL{Scheme: "https", Host: "api.example.com", Path: "/threads"}
	})
	c := f.client()
	p := c.get("/console/sign-in/start")
	cookies := strings.Join(p.header.Values("Set-Cookie"), "\n")
	if !strings.Contains(cookies, "__Host-console_signin=") || !strings.Contains(cookies, "Secure") || !strings.Contains(cookies, "Path=/;") || strings.Contains(cookies, "Domain") {
		t.Errorf("%s", cookies)
	}
	token, err := f.issuer.Token("ada", 3600e9)
	if err != nil {
		t.Fatal(err)
	}
	for cookie, status := range map[string]int{
		"__Host-console_session=" + token: http.StatusOK, "console_session=" + token: http.StatusSeeOther, "__Host-console_session=planted; __Host-console_session=" + token: http.StatusSeeOther,
	} {
		if p := c.get("/console/settings", "Cookie", cookie); p.status != status {
			t.Errorf("%s: %d", cookie[:30], p.status)
		}
	}
	if p := c.get("/console/", "Cookie", "__Host-console_session="+token); !strings.Contains(p.body, `href="/threads/console/compose"`) {
		t.Error("the pages do not lead below the public address")
	}
	if p := c.get("/console/"); p.header.Get("Location") != "/threads/console/sign-in?return=%2Fthreads%2Fconsole%2F" {
		t.Error(p.header.Get("Location"))
	}
}

// TestOff: without a client there is one page, which says so, and no other.
func TestOff(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(o *console.Options) { o.ClientID = "" })
	c := f.client()
	if p := c.get("/console/"); p.status != http.StatusOK || !strings.Contains(p.body, "CONSOLE_CLIENT_ID") || !strings.Contains(p.body, "/console/callback") {
		t.Errorf("%d %s", p.status, p.body)
	}
	for _, at := range []string{"/console/posts", "/console/sign-in", "/console/callback", "/console/live"} {
		if p := c.get(at); p.status != http.StatusNotFound {
			t.Errorf("%s: %d", at, p.status)
		}
	}
}
