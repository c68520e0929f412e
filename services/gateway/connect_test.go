package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/services/gateway"
	"github.com/omni-write/threads/services/gateway/accounts"
)

const form = "application/x-www-form-urlencoded"

func TestFinishConnect(t *testing.T) {
	t.Parallel()
	h := setup(t)
	authThat(t, h)
	const finish = "/api/threads/connect/finish"

	t.Run("connects to whoever is signed in, and says what", func(t *testing.T) {
		t.Parallel()
		var got accounts.Connection
		h.do(t, http.MethodPost, finish, `{"code":"once"}`).is(t, http.StatusOK, &got)
		if !got.Connected || got.ID != "acct_1" {
			t.Errorf("%+v", got)
		}
	})

	t.Run("says what is wrong with a code", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{`{"code":"another's"}`, `{"code":""}`, `{}`, `{"code":"` + strings.Repeat("x", 129) + `"}`} {
			h.do(t, http.MethodPost, finish, body).problem(t, 422, "invalid", "/code")
		}
	})

	t.Run("takes no cookie in the place of a token", func(t *testing.T) {
		t.Parallel()
		h.do(t, http.MethodPost, finish, `{"code":"once"}`, "Authorization", "", "Cookie", "threads_oauth_state=secret").
			problem(t, http.StatusUnauthorized, "unauthorized", "/Authorization")
	})
}

// Who sends the browser to the start of a flow decides whether it begins, and where it may end.
func TestStartedByAnotherPage(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *gateway.Config) { c.CORSOrigins = []string{"https://admin.example"} })
	var asked asks.BeginOAuth
	answer(t, h, func(q asks.BeginOAuth) (asks.OAuthBegun, error) {
		asked = q
		return asks.OAuthBegun{AuthorizeURL: "https://threads.example/oauth", Cookie: "secret"}, nil
	})
	for name, c := range map[string]struct {
		site, referer, query string
		refused, page        bool
	}{
		"nobody, as a program":                           {},
		"nobody, by the address bar or a mail":           {site: "none"},
		"our frontend":                                   {site: "cross-site", referer: "http://app.example/", page: true},
		"our frontend, that finishes itself":             {site: "cross-site", referer: "http://app.example/profile", query: "&finish=frontend"},
		"a page that may call the API":                   {site: "same-site", referer: "https://admin.example/x", page: true},
		"our own page":                                   {site: "same-origin", referer: "http://api.example/docs", page: true},
		"our frontend, in a browser that says only that": {referer: "http://app.example/", page: true},
		"another page":                                   {site: "cross-site", referer: "https://evil.example/", refused: true},
		"another page that hides itself":                 {site: "cross-site", refused: true},
		"another page beside ours":                       {site: "same-site", referer: "http://evil.api.example/", refused: true},
		"another page, in a browser that says only that": {referer: "https://evil.example/", refused: true},
		"a page whose name begins like ours":             {site: "cross-site", referer: "http://app.example.evil.test/", refused: true},
		"a page with our name for a user":                {site: "cross-site", referer: "http://app.example@evil.test/", refused: true},
		"our frontend on another scheme":                 {site: "cross-site", referer: "https://app.example/", refused: true},
		"our frontend on another port":                   {site: "cross-site", referer: "http://app.example:81/", refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			asked = asks.BeginOAuth{}
			r := h.do(t, http.MethodGet, start+"?ticket=t"+c.query, "", "Authorization", "", "Accept", "text/html",
				"Sec-Fetch-Site", c.site, "Referer", c.referer)
			to := r.header.Get("Location")
			if c.refused {
				if !strings.HasSuffix(to, "reason=cross_site_start") || asked.Ticket != "" || r.header.Get("Set-Cookie") != "" {
					t.Errorf("%d %s, and auth was asked %+v", r.status, to, asked)
				}
				return
			}
			if to != "https://threads.example/oauth" || !asked.Confirmed || asked.Page != c.page {
				t.Errorf("%d %s, asked %+v", r.status, to, asked)
			}
		})
	}

	t.Run("who finishes it is said in a word that we know, and passed on", func(t *testing.T) {
		answer(t, h, func(q asks.IssueTicket) (asks.Ticket, error) {
			if q.Purpose != asks.TicketConnect || q.SignedInAs != ada {
				t.Errorf("%+v", q)
			}
			return asks.Ticket{Ticket: "t", ExpiresIn: 30}, nil
		})
		var got accounts.Authorization
		h.do(t, http.MethodGet, start+"?finish=frontend", "", "Accept", "application/json").is(t, http.StatusOK, &got)
		if got.AuthorizationURL != "http://api.example/api/auth/threads?finish=frontend&ticket=t" {
			t.Error(got.AuthorizationURL)
		}
		h.do(t, http.MethodGet, start+"?finish=page", "", "Accept", "application/json").problem(t, 422, "invalid", "/finish")
	})
}

// Browsers name origins in lower case and without the usual port, however a setting is written.
func TestOriginsAreAsBrowsersNameThem(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *gateway.Config) {
		c.PublicURL, c.SuccessRedirectURI, c.FailureRedirectURI = "https://API.Example:443/", "http://App.example:80/done", "https://Other.example/"
		c.CORSOrigins = []string{"https://Admin.example"}
	})
	answer(t, h, func(asks.ConfirmOAuth) (events.Connection, error) { return events.Connection{ID: "acct_1"}, nil })
	var asked asks.BeginOAuth
	answer(t, h, func(q asks.BeginOAuth) (asks.OAuthBegun, error) {
		asked = q
		return asks.OAuthBegun{AuthorizeURL: "https://threads.example/oauth", Cookie: "secret"}, nil
	})
	for _, page := range []string{"http://app.example/profile", "https://other.example/", "https://admin.example/", "https://api.example/docs"} {
		asked = asks.BeginOAuth{}
		h.do(t, http.MethodGet, start+"?ticket=t", "", "Authorization", "", "Accept", "text/html", "Referer", page)
		if !asked.Page {
			t.Errorf("%s is a page of a stranger", page)
		}
	}
	r := h.do(t, http.MethodPost, "/api/auth/threads/confirm", "code=once&decision=connect", "Authorization", "", "Content-Type", form,
		"Cookie", "__Secure-threads_oauth_state=secret", "Origin", "https://api.example")
	if to := r.header.Get("Location"); !strings.Contains(to, "account=acct_1") {
		t.Errorf("our own page is one of a stranger: %d %s", r.status, to)
	}
}

// The page that asks is for the browser that began, and for nobody else.
func TestConnectPage(t *testing.T) {
	t.Parallel()
	h := setup(t)
	authThat(t, h)
	const cookie, confirm = "threads_oauth_state=secret", "/api/auth/threads/confirm"

	t.Run("asks in the words of both sides, and lets nothing of them act", func(t *testing.T) {
		t.Parallel()
		r := h.do(t, http.MethodGet, callback+"?state=s&code=asked", "", "Authorization", "", "Cookie", cookie)
		page := string(r.body)
		for _, want := range []string{
			"Connect @ada.writes to your account as &lt;ada@example.com&gt;?", `<code>user_ada</code>`, `action="confirm"`, `name="code" value="once"`,
			`value="connect"`, `value="cancel"`,
		} {
			if !strings.Contains(page, want) {
				t.Errorf("no %s in %s", want, page)
			}
		}
		if r.status != http.StatusOK || r.header.Get("Content-Type") != "text/html; charset=utf-8" || r.header.Get("Set-Cookie") != "" ||
			!strings.Contains(r.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v", r.status, r.header)
		}
	})

	for name, c := range map[string]struct {
		code, decision, cookie, site, origin, want string
	}{
		"connects":                     {"once", "connect", cookie, "same-origin", "null", "http://app.example/profile?account=acct_1&tab=accounts"},
		"connects in an older browser": {"once", "connect", cookie, "", "http://api.example", "http://app.example/profile?account=acct_1&tab=accounts"},
		"is left":                      {"once", "cancel", cookie, "same-origin", "", "not_confirmed"},
		"is left, in another word":     {"once", "", cookie, "same-origin", "", "not_confirmed"},
		"is another browser's":         {"once", "connect", "threads_oauth_state=other", "same-origin", "", "connect_code_invalid"},
		"is nobody's":                  {"once", "connect", "", "same-origin", "", "connect_code_invalid"},
		"is of another code":           {"other", "connect", cookie, "same-origin", "", "connect_code_invalid"},
		"is posted by another page":    {"once", "connect", cookie, "cross-site", "https://evil.example", "connect_code_invalid"},
		"is posted by a neighbour":     {"once", "connect", cookie, "same-site", "http://evil.api.example", "connect_code_invalid"},
		"is posted by one that hides":  {"once", "connect", cookie, "same-site", "null", "connect_code_invalid"},
		"is posted from elsewhere":     {"once", "connect", cookie, "", "https://evil.example", "connect_code_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := url.Values{"code": {c.code}, "decision": {c.decision}}.Encode()
			r := h.do(t, http.MethodPost, confirm, body, "Authorization", "", "Content-Type", form, "Cookie", c.cookie,
				"Sec-Fetch-Site", c.site, "Origin", c.origin)
			to := r.header.Get("Location")
			if r.status != http.StatusSeeOther || to != c.want && !strings.HasSuffix(to, "&reason="+c.want) {
				t.Errorf("%d %s", r.status, to)
			}
		})
	}

	t.Run("takes no bearer token, and no half of a form", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{"code=once", "decision=connect", "code=once&code=once&decision=connect", "%zz"} {
			r := h.do(t, http.MethodPost, confirm, body, "Content-Type", form, "Cookie", cookie)
			if r.status != http.StatusSeeOther || !strings.Contains(r.header.Get("Location"), "reason=connect_code_invalid") {
				t.Errorf("%q: %d %s", body, r.status, r.header.Get("Location"))
			}
		}
		r := h.do(t, http.MethodPost, confirm, "code=once&decision=connect", "Content-Type", form)
		if !strings.Contains(r.header.Get("Location"), "reason=connect_code_invalid") {
			t.Errorf("%d %s", r.status, r.header.Get("Location"))
		}
	})
}

// The answer to the page ends at the frontend whatever is wrong with it. Made-up ones count all the same.
func TestAnswersToThePageAreCounted(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *gateway.Config) { c.RateAnonymous = 10 })
	authThat(t, h)
	for range 100 {
		r := h.do(t, http.MethodPost, "/api/auth/threads/confirm", "code=made_up&decision=connect", "Authorization", "", "Content-Type", form,
			"Accept", "text/html,*/*;q=0.8")
		to := r.header.Get("Location")
		if r.status/100 != 3 || !strings.HasPrefix(to, "http://app.example/") {
			t.Fatalf("%d %s", r.status, r.body)
		}
		if strings.HasSuffix(to, "reason=rate_limited") {
			return
		}
	}
	t.Error("as many as anybody likes")
}
