package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/omni-write/threads/events"
)

// cookieReturn is there while a person is at Threads who began to connect an account here: they come back here, and not to the
// frontend whose address the gateway is configured with.
const cookieReturn = "console_return"

const callbackPath = "/api/auth/threads/callback"

type accountData struct {
	account
	Limits  *limits
	Problem string
	Days    int // until the key ends, were it never refreshed
	Ends    bool
	Meters  []meter
}

// meter is how much of something is used: a bar, and the same in words.
type meter struct {
	Name            string
	Used, Soon, Of  int
	Left            int
	UsedAt, SoonEnd float64 // of a bar of 100
	Free            *time.Time
}

func meterOf(name string, a allowance) meter {
	m := meter{Name: name, Used: a.Used, Soon: a.Scheduled, Of: a.Total, Left: max(0, a.Remaining), Free: a.FreeAt}
	if a.Total > 0 {
		m.UsedAt = min(100, float64(a.Used)*100/float64(a.Total))
		m.SoonEnd = min(100, float64(a.Used+a.Scheduled)*100/float64(a.Total))
	}
	return m
}

// SoonWidth is how much of the bar is for what is scheduled.
func (m meter) SoonWidth() float64 { return m.SoonEnd - m.UsedAt }

// features are what an account's grants allow, in words.
var features = map[string]string{
	"profile": "See the profile", "history": "Read what was posted before", "publish": "Publish", "repost": "Repost", "delete": "Delete posts", "read_replies": "Read replies",
	"manage_replies": "Hide and answer replies", "insights": "See figures", "mentions": "See mentions", "search": "Search", "locations": "Name a place", "profiles": "Look up profiles",
}

type accountsData struct {
	Accounts []accountData
	Reason   string
}

// accounts is who we post for.
func (c *Console) accounts(w http.ResponseWriter, v *visit) error {
	list, err := v.accounts()
	if err != nil {
		return err
	}
	d := accountsData{Reason: reasons[v.URL.Query().Get("reason")], Accounts: make([]accountData, len(list))}
	if d.Reason == "" && v.URL.Query().Has("reason") {
		d.Reason = "The account was not connected. Please try again."
	}
	ctx, cancel := context.WithTimeout(v.Context(), threadsWithin)
	defer cancel()
	ask := *v
	ask.Request = v.WithContext(ctx)
	var work []func() error
	for i, a := range list {
		one := &d.Accounts[i]
		one.account = a
		if a.AccessTokenExpiresAt != nil {
			one.Ends, one.Days = true, int(a.AccessTokenExpiresAt.Sub(v.Now)/(24*time.Hour))
		}
		if !a.Connected {
			continue
		}
		work = append(work, func() error {
			var l limits
			at := url.QueryEscape(v.ISO(v.Now.Add(24 * time.Hour)))
			if one.Problem = detailOf(ask.get("/api/threads/limits?accountId="+url.QueryEscape(a.ID)+"&at="+at, &l)); one.Problem == "" {
				one.Limits = &l
				one.Meters = []meter{meterOf("Posts", l.Posts), meterOf("Replies", l.Replies), meterOf("Deletions", l.Deletes)}
			}
			return nil
		})
	}
	_ = together(work...)
	c.show(w, v.Request, http.StatusOK, "accounts", &view{Title: "Accounts", Section: "accounts", V: v, Data: d, Notice: notices[v.URL.Query().Get("done")]})
	return nil
}

// connect begins to connect an account: the browser goes on to Threads.
func (c *Console) connect(w http.ResponseWriter, v *visit) error {
	if v.Header.Get("Sec-Fetch-Site") == "cross-site" {
		http.Redirect(w, v.Request, c.at("/accounts"), http.StatusSeeOther)
		return nil
	}
	q := url.Values{"finish": {"frontend"}}
	if id := v.URL.Query().Get("account"); id != "" {
		q.Set("accountId", id)
	}
	var begun struct {
		AuthorizationURL string `json:"authorizationUrl"`
	}
	if err := v.get("/api/auth/threads?"+q.Encode(), &begun); err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure is set where there is https
		Name: cookieReturn, Value: "1", Path: c.Base.Path + callbackPath, MaxAge: int(flowLife / time.Second), HttpOnly: true,
		SameSite: http.SameSiteLaxMode, Secure: c.Base.Scheme == "https",
	})
	http.Redirect(w, v.Request, begun.AuthorizationURL, http.StatusSeeOther)
	return nil
}

// Returns lets who began here come back here from Threads. It changes where an answer of the gateway leads and nothing else;
// the code in it is worth something only to the person who began, with their own sign-in.
func (c *Console) Returns(next http.Handler) http.Handler {
	if c.ClientID == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == callbackPath && r.Method == http.MethodGet {
			if k, err := r.Cookie(cookieReturn); err == nil && k.Value == "1" {
				w = &returning{ResponseWriter: w, c: c}
			}
		}
		next.ServeHTTP(w, r)
	})
}

type returning struct {
	http.ResponseWriter
	c *Console
}

func (w *returning) WriteHeader(status int) {
	if to, err := url.Parse(w.Header().Get("Location")); err == nil && status == http.StatusFound {
		q := url.Values{}
		for _, name := range []string{"connectCode", "reason"} {
			if value := to.Query().Get(name); value != "" {
				q.Set(name, value)
			}
		}
		w.Header().Set("Location", w.c.at("/accounts/returned?"+q.Encode()))
		http.SetCookie(w.ResponseWriter, &http.Cookie{ //nolint:gosec // it takes one away
			Name: cookieReturn, Path: w.c.Base.Path + callbackPath, MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: w.c.Base.Scheme == "https",
		})
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *returning) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// reasons are why an account was not connected, in words.
var reasons = map[string]string{
	"denied": "You did not allow it at Threads, so nothing was connected.", "access_denied": "You did not allow it at Threads, so nothing was connected.",
	"account_mismatch": "At Threads you were signed in as somebody else. Sign in there as the account that you want to connect again, and try once more.",
	"unavailable":      "Threads did not answer in time. Please try again.",
}

// returned is where the browser comes back to from Threads, with a code that connects when whoever began sends it.
func (c *Console) returned(w http.ResponseWriter, v *visit) error {
	q := v.URL.Query()
	code := q.Get("connectCode")
	if code == "" {
		return c.done(w, v, "/accounts?reason="+url.QueryEscape(q.Get("reason")))
	}
	if err := v.do(http.MethodPost, "/api/threads/connect/finish", map[string]string{"code": code}, nil); err != nil {
		if p := asProblem(err); p != nil && p.Status != http.StatusUnauthorized {
			c.show(w, v.Request, p.Status, "message", &view{Title: "The account was not connected", Section: "accounts", V: v, Data: message{
				Words: p.Detail, Link: c.at("/accounts"), Label: "Back to the accounts", ID: p.RequestID,
			}})
			return nil
		}
		return err
	}
	return c.done(w, v, "/accounts?done=connected")
}

func (c *Console) refresh(w http.ResponseWriter, v *visit) error {
	if err := v.do(http.MethodPost, "/api/threads/refresh", map[string]string{"accountId": v.PathValue("id")}, nil); err != nil {
		return err
	}
	return c.done(w, v, "/accounts?done=refreshed")
}

type leaveData struct {
	account
	Queued int
	More   bool
}

// leavePage says what disconnecting does before it is done.
func (c *Console) leavePage(w http.ResponseWriter, v *visit) error {
	id := v.PathValue("id")
	var a account
	var queued postPage
	if err := together(
		func() error { return v.get("/api/threads/connection?accountId="+url.QueryEscape(id), &a) },
		func() (err error) {
			queued, err = v.posts(url.Values{"status": {"QUEUED"}, "accountId": {id}, "limit": {fmt.Sprint(listed)}})
			return err
		},
	); err != nil {
		return err
	}
	c.show(w, v.Request, http.StatusOK, "leave", &view{Title: "Disconnect @" + a.Name(), Section: "accounts", V: v, Data: leaveData{a, len(queued.Posts), queued.Next != ""}})
	return nil
}

func (c *Console) leave(w http.ResponseWriter, v *visit) error {
	q := url.Values{"accountId": {v.PathValue("id")}, "posts": {"cancel"}}
	switch v.PostForm.Get("queue") {
	case "keep":
		q.Set("posts", "keep")
	case "erase":
		q.Set("erase", "true")
	}
	if err := v.do(http.MethodDelete, "/api/threads/connection?"+q.Encode(), nil, nil); err != nil {
		return err
	}
	return c.done(w, v, "/accounts?done=left")
}

type settingsData struct{ Zone, Problem string }

func (c *Console) settings(w http.ResponseWriter, v *visit) error {
	c.show(w, v.Request, http.StatusOK, "settings", &view{Title: "Settings", Section: "settings", V: v, Data: settingsData{Zone: v.Zone.String()}, Notice: notices[v.URL.Query().Get("done")]})
	return nil
}

// saveSettings keeps the zone that the person chose; the browser's own is no longer looked at.
func (c *Console) saveSettings(w http.ResponseWriter, v *visit) error {
	name := strings.TrimSpace(v.PostForm.Get("zone"))
	if zone := zoneNamed(name); zone.String() != name {
		c.show(w, v.Request, http.StatusUnprocessableEntity, "settings", &view{Title: "Settings", Section: "settings", V: v, Data: settingsData{name, "There is no time zone of this name. They are named as Europe/Berlin, America/New_York or UTC."}})
		return nil
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // no secret, and scripts of ours set it too
		Name: cookieZone, Value: url.QueryEscape(name), Path: c.Base.Path + Root, MaxAge: 400 * 24 * 3600, SameSite: http.SameSiteLaxMode,
	})
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // the same
		Name: cookieZone + "_chosen", Value: "1", Path: c.Base.Path + Root, MaxAge: 400 * 24 * 3600, SameSite: http.SameSiteLaxMode,
	})
	return c.done(w, v, "/settings?done=zone")
}

// StatusBadge is how the connection is.
func (a accountData) StatusBadge() badge {
	switch {
	case a.Status == events.ConnectionReconnectRequired:
		return badge{"bad", "cross", "Must be connected again"}
	case a.PausedAt != nil:
		return badge{"warn", "pause", "Paused"}
	case a.Connected:
		return badge{"good", "check", "Connected"}
	}
	return badge{"off", "minus", "Disconnected"}
}
