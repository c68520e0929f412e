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

const (
	start    = "/api/auth/threads"
	callback = "/api/auth/threads/callback"
)

// authThat begins and ends the flow for one ticket, one cookie and one code.
func authThat(t *testing.T, h *system) {
	t.Helper()
	answer(t, h, func(q asks.IssueTicket) (asks.Ticket, error) {
		return asks.Ticket{Ticket: "ticket-of-" + q.UserID, ExpiresIn: 30}, nil
	})
	answer(t, h, func(q asks.BeginOAuth) (asks.OAuthBegun, error) {
		if !q.Confirmed || q.UserID != ada && q.Ticket != "ticket-of-"+ada {
			return asks.OAuthBegun{}, events.Faultf(events.Unauthorized, "This link is too old.").At("/ticket", "ticket_invalid", "Start again.")
		}
		return asks.OAuthBegun{AuthorizeURL: "https://threads.example/oauth?state=s", Cookie: "secret"}, nil
	})
	answer(t, h, func(q asks.ReturnOAuth) (asks.OAuthReturned, error) {
		switch {
		case q.Cookie != "secret" || q.State != "s":
			return asks.OAuthReturned{}, events.Faultf(events.Invalid, "Begin again.").At("/state", "state_invalid", "Begin again.")
		case q.Error != "":
			return asks.OAuthReturned{}, events.Faultf(events.Refused, "Not allowed.").At("/error", "access_denied", "Not allowed.")
		case q.Code == "asked":
			return asks.OAuthReturned{Code: "once", Page: true, UserID: ada, SignedInAs: "<ada@example.com>", Username: "ada.writes"}, nil
		case q.Code != "code":
			return asks.OAuthReturned{}, events.Faultf(events.Unavailable, "Threads is away.")
		}
		return asks.OAuthReturned{Code: "once", UserID: ada}, nil
	})
	answer(t, h, func(q asks.ConfirmOAuth) (events.Connection, error) {
		switch {
		case q.Code != "once" || q.UserID != ada && q.Cookie != "secret" || q.UserID != "" && q.Cookie != "":
			return events.Connection{}, events.Faultf(events.Invalid, "Begin again.").At("/code", "connect_code_invalid", "Begin again.")
		case q.Decline:
			return events.Connection{}, nil
		}
		return events.Connection{ID: "acct_1", UserID: ada, Status: events.ConnectionActive}, nil
	})
}

func cookieOf(t *testing.T, r reply) *http.Cookie {
	t.Helper()
	cookies := (&http.Response{Header: r.header}).Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies %v", r.header["Set-Cookie"])
	}
	return cookies[0]
}

func TestStartOAuth(t *testing.T) {
	t.Parallel()
	h := setup(t)
	authThat(t, h)

	leaves := func(t *testing.T, r reply) {
		t.Helper()
		if r.status != http.StatusFound || r.header.Get("Location") != "https://threads.example/oauth?state=s" || len(r.body) != 0 {
			t.Fatalf("%d %v %s", r.status, r.header, r.body)
		}
		c := cookieOf(t, r)
		if c.Name != "threads_oauth_state" || c.Value != "secret" || c.Path != start || c.MaxAge != 600 || !c.HttpOnly ||
			c.SameSite != http.SameSiteLaxMode || c.Secure {
			t.Errorf("%+v", c)
		}
	}

	t.Run("gives a page an address with a ticket, and the browser that goes there the cookie", func(t *testing.T) {
		t.Parallel()
		var got accounts.Authorization
		r := h.do(t, http.MethodGet, start, "", "Accept", "application/json, text/plain, */*")
		r.is(t, http.StatusOK, &got)
		if got.AuthorizationURL != "http://api.example/api/auth/threads?ticket=ticket-of-user_ada" || got.ExpiresIn != 30 || r.header.Get("Set-Cookie") != "" {
			t.Fatalf("%s %v", r.body, r.header)
		}
		at, err := url.Parse(got.AuthorizationURL)
		if err != nil {
			t.Fatal(err)
		}
		leaves(t, h.do(t, http.MethodGet, at.RequestURI(), "", "Authorization", "", "Accept", "text/html"))
	})

	t.Run("redirects at once whoever brings a token", func(t *testing.T) {
		t.Parallel()
		leaves(t, h.do(t, http.MethodGet, start, ""))
		leaves(t, h.do(t, http.MethodGet, start, "", "Accept", "*/*"))
	})

	t.Run("sends a person with a spent ticket back to the frontend, and tells a program", func(t *testing.T) {
		t.Parallel()
		r := h.do(t, http.MethodGet, start+"?ticket=spent", "", "Authorization", "", "Accept", "text/html,*/*;q=0.8")
		if r.status != http.StatusFound || r.header.Get("Location") != "http://app.example/profile?error=threads_oauth_failed&reason=ticket_invalid" {
			t.Errorf("%d %s", r.status, r.header.Get("Location"))
		}
		h.do(t, http.MethodGet, start+"?ticket=spent", "", "Authorization", "").problem(t, http.StatusUnauthorized, "unauthorized", "/ticket")
	})

	t.Run("does not guess between two tickets", func(t *testing.T) {
		t.Parallel()
		h.do(t, http.MethodGet, start+"?ticket=ticket-of-user_ada&ticket=x", "").problem(t, 422, "invalid", "/ticket")
	})

	t.Run("takes no account that cannot be one", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		h.do(t, http.MethodGet, start+"?accountId=a%00b", "").problem(t, http.StatusBadRequest, "unreadable")
		h.do(t, http.MethodPost, "/api/threads/refresh", `{"accountId":"`+strings.Repeat("x", 70_000)+`"}`).problem(t, 422, "invalid", "/accountId")
	})

	t.Run("hands tickets out to whoever is signed in", func(t *testing.T) {
		t.Parallel()
		var got asks.Ticket
		h.do(t, http.MethodPost, "/api/auth/ticket", "").is(t, http.StatusOK, &got)
		if got.Ticket != "ticket-of-user_ada" || got.ExpiresIn != 30 {
			t.Errorf("%+v", got)
		}
	})

	t.Run("makes the cookie secure where browsers come over https", func(t *testing.T) {
		t.Parallel()
		h := setup(t, func(c *gateway.Config) { c.PublicURL = "https://example.com/threads/" })
		authThat(t, h)
		c := cookieOf(t, h.do(t, http.MethodGet, start, ""))
		if c.Name != "__Secure-threads_oauth_state" || !c.Secure || c.Path != "/threads/api/auth/threads" {
			t.Errorf("%+v", c)
		}
		var got accounts.Authorization
		h.do(t, http.MethodGet, start, "", "Accept", "application/json").is(t, http.StatusOK, &got)
		if !strings.HasPrefix(got.AuthorizationURL, "https://example.com/threads/api/auth/threads?ticket=") {
			t.Errorf("%+v", got)
		}
	})
}

func TestFinishOAuth(t *testing.T) {
	t.Parallel()
	h := setup(t)
	authThat(t, h)
	const cookie = "other=1; threads_oauth_state=secret"

	for name, c := range map[string]struct{ query, cookie, want string }{
		"ends at the frontend with what confirms it": {
			"?state=s&code=code", cookie, "http://app.example/profile?connectCode=once&tab=accounts",
		},
		"says that access was denied": {
			"?state=s&error=access_denied&error_reason=user_denied", cookie, "http://app.example/profile?error=threads_oauth_failed&reason=access_denied",
		},
		"says that the browser is another": {
			"?state=s&code=code", "", "http://app.example/profile?error=threads_oauth_failed&reason=state_invalid",
		},
		"says that nothing came back": {
			"", cookie, "http://app.example/profile?error=threads_oauth_failed&reason=state_invalid",
		},
		"gives the code where there is no finer word": {
			"?state=s&code=other", cookie, "http://app.example/profile?error=threads_oauth_failed&reason=unavailable",
		},
		"does not guess between two codes": {
			"?state=s&code=code&code=other", cookie, "http://app.example/profile?error=threads_oauth_failed&reason=repeated_parameter",
		},
		"does not guess between two states": {
			"?state=s&state=s&code=code", cookie, "http://app.example/profile?error=threads_oauth_failed&reason=repeated_parameter",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := h.do(t, http.MethodGet, callback+c.query, "", "Authorization", "", "Cookie", c.cookie)
			if r.status != http.StatusFound || r.header.Get("Location") != c.want {
				t.Errorf("%d %s", r.status, r.header.Get("Location"))
			}
			// A flow that was recognised is over. One that was not may be another's doing, who must not end it for the person.
			over := strings.Contains(c.want, "connectCode=") || strings.HasSuffix(c.want, "access_denied")
			if !over {
				if set := r.header.Get("Set-Cookie"); set != "" {
					t.Errorf("the cookie was touched: %s", set)
				}
				return
			}
			if gone := cookieOf(t, r); gone.MaxAge >= 0 || gone.Value != "" || gone.Path != start {
				t.Errorf("the cookie stays: %+v", gone)
			}
		})
	}

	t.Run("adds an error where the failure address brings none, and keeps what it brings", func(t *testing.T) {
		t.Parallel()
		h := setup(t, func(c *gateway.Config) { c.FailureRedirectURI = "http://app.example/#/profile" })
		authThat(t, h)
		r := h.do(t, http.MethodGet, callback, "", "Authorization", "")
		if want := "http://app.example/?error=state_invalid&reason=state_invalid#/profile"; r.header.Get("Location") != want {
			t.Error(r.header.Get("Location"))
		}
	})
}
