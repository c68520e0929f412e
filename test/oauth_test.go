package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/omni-write/threads/events"
)

// browser is a person's browser, in the middle of connecting an account.
type browser struct {
	h     *system
	http  *http.Client
	user  string
	token string
}

func (h *system) browser(user string) *browser {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	b := &browser{h: h, user: user}
	b.http = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	h.call(http.MethodGet, h.url("ISSUER_PORT")+"/token?sub="+user, nil, &token)
	b.token = token.AccessToken
	return b
}

// visit opens an address and says where it sends the browser.
func (b *browser) visit(address string) string {
	b.h.t.Helper()
	location, err := b.follow(address)
	if err != nil {
		b.h.t.Fatal(err)
	}
	return location
}

func (b *browser) follow(address string) (location string, err error) {
	resp, err := b.http.Get(address)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusFound {
		return "", fmt.Errorf("%s answered %s: %s", address, resp.Status, body)
	}
	return resp.Header.Get("Location"), nil
}

// begin begins the OAuth flow, and ends at Threads' page.
func (b *browser) begin() (threads *url.URL) {
	b.h.t.Helper()
	was := b.h.token
	b.h.token = b.token
	defer func() { b.h.token = was }()
	b.h.eventually("Threads' page", func() error { // on a slow machine auth may keep the gateway waiting for too long
		var begun struct {
			AuthorizationURL string `json:"authorizationUrl"`
		}
		b.h.call(http.MethodGet, b.h.url("PORT")+"/api/auth/threads", nil, &begun)
		location, err := b.follow(begun.AuthorizationURL)
		if err != nil {
			return err
		}
		threads, err = url.Parse(location)
		return err
	})
	return threads
}

// finish is the frontend, at which the browser came out: it confirms the connection with the bearer token of whoever is signed
// in there, and says how that was answered.
func (b *browser) finish(at string) int {
	b.h.t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		b.h.t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"code": u.Query().Get("connectCode")})
	if err != nil {
		b.h.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(b.h.t.Context(), http.MethodPost, b.h.url("PORT")+"/api/threads/connect/finish", bytes.NewReader(body))
	if err != nil {
		b.h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := b.http.Do(req)
	if err != nil {
		b.h.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// decide presses a button on Threads' page, and returns the address at which the browser is to come back.
func (b *browser) decide(threads *url.URL, decision, username string) *url.URL {
	b.h.t.Helper()
	form := threads.Query()
	form.Set("decision", decision)
	form.Set("username", username)
	page := *threads
	page.RawQuery = ""
	resp, err := b.http.PostForm(page.String(), form)
	if err != nil {
		b.h.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	back, err := resp.Location()
	if err != nil {
		b.h.t.Fatalf("threads answered %s and no redirect", resp.Status)
	}
	back.Fragment = "" // a browser does not send it
	return back
}

// connected counts the browser's user's accounts.
func (b *browser) connected() int {
	b.h.t.Helper()
	was := b.h.token
	b.h.token = b.token
	defer func() { b.h.token = was }()
	var list []events.Connection
	b.h.call(http.MethodGet, b.h.url("PORT")+"/api/threads/connections", nil, &list)
	return len(list)
}

// Whoever plays tricks on the way to a connected account comes out at a page with a word, and nobody is connected who
// should not be. And the one who was tricked can still finish.
func TestOAuthTricks(t *testing.T) {
	t.Parallel()
	h := newSystem(t)
	h.start()
	ends := func(t *testing.T, at, want string) {
		t.Helper()
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		if u.Path != "/connected" || u.Query().Get("reason") != want ||
			want != "" && u.Query().Get("error") != "threads_oauth_failed" {
			t.Errorf("it ended at %s, want the reason %q", at, want)
		}
	}
	connects := func(t *testing.T, b *browser, at string) {
		t.Helper()
		ends(t, at, "")
		if status := b.finish(at); status != http.StatusOK {
			t.Errorf("finishing answered %d", status)
		}
	}
	with := func(u *url.URL, change func(url.Values)) string {
		q := u.Query()
		change(q)
		c := *u
		c.RawQuery = q.Encode()
		return c.String()
	}

	t.Run("a person says no, and then yes", func(t *testing.T) {
		b := h.browser("user_no")
		ends(t, b.visit(b.decide(b.begin(), "deny", "no").String()), "access_denied")
		if b.connected() != 0 {
			t.Error("connected all the same")
		}
		connects(t, b, b.visit(b.decide(b.begin(), "allow", "no").String()))
	})

	t.Run("tricks do not end the flow that they are played on", func(t *testing.T) {
		b := h.browser("user_tricked")
		other := h.browser("user_trickster")
		theirs := other.decide(other.begin(), "allow", "trickster")
		back := b.decide(b.begin(), "allow", "tricked")
		for name, trick := range map[string]struct{ address, reason string }{
			"a made-up state":        {with(back, func(q url.Values) { q.Set("state", "made-up") }), "state_invalid"},
			"no state":               {with(back, func(q url.Values) { q.Del("state") }), "state_invalid"},
			"a made-up denial":       {with(back, func(q url.Values) { q.Set("state", "x"); q.Set("error", "access_denied") }), "state_invalid"},
			"another's whole answer": {theirs.String(), "state_invalid"},
			"two codes":              {with(back, func(q url.Values) { q.Add("code", "another") }), "repeated_parameter"},
			"two states":             {with(back, func(q url.Values) { q.Add("state", theirs.Query().Get("state")) }), "repeated_parameter"},
			"two errors":             {with(back, func(q url.Values) { q["error"] = []string{"a", "b"} }), "repeated_parameter"},
			"a huge state":           {with(back, func(q url.Values) { q.Set("state", strings.Repeat("s", 6_000)) }), "state_invalid"},
			"a huge code":            {with(back, func(q url.Values) { q.Set("code", strings.Repeat("c", 6_000)) }), "state_invalid"},
			"odd characters":         {with(back, func(q url.Values) { q.Set("state", "\x00\xff'; DROP TABLE posts; --\r\nSet-Cookie: a=b") }), "state_invalid"},
		} {
			t.Run(name, func(t *testing.T) { ends(t, b.visit(trick.address), trick.reason) })
		}
		t.Run("without the cookie", func(t *testing.T) { ends(t, h.browser("user_nobody").visit(back.String()), "state_invalid") })
		if b.connected() != 0 {
			t.Error("a trick has connected an account")
		}
		connects(t, b, b.visit(back.String()))
		if other.connected() != 0 || b.connected() != 1 {
			t.Errorf("%d and %d accounts", other.connected(), b.connected())
		}
		connects(t, other, other.visit(theirs.String())) // nor was theirs used up
		ends(t, b.visit(back.String()), "state_invalid")
		if b.connected() != 1 {
			t.Error("the replay changed something")
		}
	})

	t.Run("an address handed to somebody else connects nothing to who began", func(t *testing.T) {
		attacker, victim := h.browser("user_attacker"), h.browser("user_victim")
		// The victim follows the attacker's address in their own browser, and presses Allow on Threads' genuine page.
		lured := h.browser("user_victim")
		lured.token = attacker.token
		end := lured.visit(lured.decide(lured.begin(), "allow", "victim").String())
		ends(t, end, "")
		if attacker.connected()+victim.connected() != 0 {
			t.Error("connected before anybody confirmed it")
		}
		// Their frontend confirms it with the victim's own token.
		if status := victim.finish(end); status != http.StatusUnprocessableEntity {
			t.Errorf("the victim's frontend was answered %d", status)
		}
		// And nothing is left there for the attacker, should they come by the address.
		if status := attacker.finish(end); status != http.StatusUnprocessableEntity {
			t.Errorf("the attacker was answered %d", status)
		}
		if attacker.connected()+victim.connected() != 0 {
			t.Errorf("%d and %d accounts", attacker.connected(), victim.connected())
		}
	})

	t.Run("the same answer eight times at once connects once", func(t *testing.T) {
		b := h.browser("user_eight")
		back := b.decide(b.begin(), "allow", "eight").String()
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				resp, err := b.http.Get(back)
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
				if to, err := resp.Location(); err != nil || resp.StatusCode != http.StatusFound {
					t.Errorf("%s %v", resp.Status, err)
				} else if to.Query().Get("connectCode") != "" && b.finish(to.String()) == http.StatusOK {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || b.connected() != 1 {
			t.Errorf("%d won, %d accounts", won.Load(), b.connected())
		}
	})

	t.Run("threads is down when the code is spent, and it says so", func(t *testing.T) {
		b := h.browser("user_down")
		back := b.decide(b.begin(), "allow", "down").String()
		h.call(http.MethodPost, h.url("SIMULATOR_PORT")+"/_sim/faults", map[string]any{"op": "exchange", "kind": "edge_5xx"}, nil)
		ends(t, b.visit(back), "threads_unavailable")
		connects(t, b, b.visit(b.decide(b.begin(), "allow", "down").String()))
	})

	t.Run("several accounts, and one Threads account of two people", func(t *testing.T) {
		one, two := h.browser("user_one"), h.browser("user_two")
		for _, name := range []string{"shared", "own"} {
			connects(t, one, one.visit(one.decide(one.begin(), "allow", name).String()))
		}
		connects(t, two, two.visit(two.decide(two.begin(), "allow", "shared").String()))
		if one.connected() != 2 || two.connected() != 1 {
			t.Errorf("%d and %d accounts", one.connected(), two.connected())
		}
	})
}
