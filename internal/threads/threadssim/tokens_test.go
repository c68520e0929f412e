package threadssim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

const day = 24 * time.Hour

// code goes through the authorization window, which must approve by itself.
func (w *world) code() string {
	w.t.Helper()
	r := w.send(http.MethodGet, "/oauth/authorize?"+window().Encode(), "", "")
	_, query, _ := strings.Cut(r.raw[strings.LastIndex(r.raw, back):], "?")
	v, err := url.ParseQuery(strings.TrimSuffix(query, "#_"))
	if err != nil || v.Get("code") == "" {
		w.t.Fatalf("no code in %s", r.raw)
	}
	return v.Get("code")
}

func exchangeParams(code string) url.Values {
	return url.Values{
		"client_id": {threadssim.DefaultAppID}, "client_secret": {threadssim.DefaultAppSecret},
		"grant_type": {"authorization_code"}, "redirect_uri": {back}, "code": {code},
	}
}

// connect trades a fresh code for a short-lived token.
func (w *world) connect() reply {
	w.t.Helper()
	r := w.send(http.MethodPost, "/oauth/access_token", form, exchangeParams(w.code()).Encode())
	if r.status != 200 {
		w.t.Fatalf("exchange: %d %s", r.status, r.raw)
	}
	return r
}

func (w *world) refresh() reply {
	w.t.Helper()
	return w.get("/refresh_access_token", "grant_type", "th_refresh_token")
}

func TestExchangeTakesItsParametersFromAnywhere(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{AutoApprove: true})
	for name, send := range map[string]func(v url.Values) reply{
		"query of a POST": func(v url.Values) reply {
			return w.send(http.MethodPost, "/oauth/access_token?"+v.Encode(), "", "")
		},
		"query of a GET": func(v url.Values) reply {
			return w.send(http.MethodGet, "/v1.0/oauth/access_token/?"+v.Encode(), "", "")
		},
		"JSON": func(v url.Values) reply {
			parts := []string{}
			for k := range v {
				parts = append(parts, `"`+k+`":"`+v.Get(k)+`"`)
			}
			return w.send(http.MethodPost, "/oauth/access_token", "application/json", "{"+strings.Join(parts, ",")+"}")
		},
	} {
		if r := send(exchangeParams(w.code())); r.status != 200 || r.str("access_token") == "" {
			t.Errorf("%s: %d %s", name, r.status, r.raw)
		}
	}
}

func TestAppTokens(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	ask := func(secret string) reply {
		return w.send(http.MethodGet, "/oauth/access_token?"+url.Values{"client_id": {threadssim.DefaultAppID},
			"client_secret": {secret}, "grant_type": {"client_credentials"}}.Encode(), "", "")
	}
	if r := ask("wrong"); r.status != 400 || r.str("error_type") == "" {
		t.Errorf("a wrong secret: %d %s", r.status, r.raw)
	}
	r := ask(threadssim.DefaultAppSecret)
	app := r.str("access_token")
	if !strings.HasPrefix(app, "TH|"+threadssim.DefaultAppID+"|") || r.str("token_type") != "bearer" || r.body["expires_in"] != nil ||
		strings.Contains(app, threadssim.DefaultAppSecret) {
		t.Fatalf("app token: %s", r.raw)
	}
	user := w.token
	for _, token := range []string{app, "TH|" + threadssim.DefaultAppID + "|" + threadssim.DefaultAppSecret} {
		w.token = token
		if r := w.get("/debug_token", "input_token", user); r.status != 200 || !strings.Contains(r.raw, `"is_valid":true`) {
			t.Errorf("debug_token by the app: %d %s", r.status, r.raw)
		}
		refused(t, w.get("/me"), 400, "190") // it is nobody's token
	}
	w.token = app + "x"
	refused(t, w.get("/debug_token", "input_token", user), 500, "190")
}

func TestDebugTokenTellsWhyATokenIsNoGood(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	mine := w.token
	theirs, _ := w.grant("leaver")
	debug := func(token string) reply { return w.get("/v1.0/debug_token", "input_token", token) }
	if r := debug(theirs); !strings.Contains(r.raw, `"is_valid":true`) || strings.Contains(r.raw, `"error"`) {
		t.Errorf("a good one: %s", r.raw)
	}
	if err := w.sim.Revoke("leaver", 460); err != nil {
		t.Fatal(err)
	}
	r := debug(theirs)
	if r.status != 200 || !strings.Contains(r.raw, `"is_valid":false`) || !strings.Contains(r.raw, `"subcode":460`) {
		t.Errorf("a revoked one: %d %s", r.status, r.raw)
	}
	if r := debug("never seen"); r.status != 200 || !strings.Contains(r.raw, `"is_valid":false`) || !strings.Contains(r.raw, `"code":190`) {
		t.Errorf("an unknown one: %d %s", r.status, r.raw)
	}
	refused(t, debug(""), 400, "100")
	if err := w.sim.Revoke("leaver", 1); err == nil {
		t.Error("a subcode that does not exist was taken")
	}
	w.token = theirs
	refused(t, debug(mine), 500, "190/460")
}

func TestRefreshRules(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	refused(t, w.refresh(), 400, "100")
	if r := w.get("/me"); r.status != 200 {
		t.Errorf("a refused refresh harmed the token: %s", r.raw)
	}
	if r := w.send(http.MethodGet, "/refresh_access_token?grant_type=th_refresh_token&access_token="+w.token, "", "",
		"X-Sim-Knobs", `{"refresh_too_young":"allow"}`); r.status != 200 {
		t.Errorf("allowed: %s", r.raw)
	}
	w.clock.Add(day)
	first := w.token
	r := w.refresh()
	if r.status != 200 || r.str("token_type") != "bearer" {
		t.Fatalf("after a day: %s", r.raw)
	}
	w.clock.Add(59 * day)
	w.token = first
	refused(t, w.get("/me"), 400, "190/463")
	refused(t, w.refresh(), 400, "190/463") // dead for good
	w.token = r.str("access_token")
	if r := w.get("/me"); r.status != 200 {
		t.Errorf("the new one: %s", r.raw)
	}
	rules := map[string]int{}
	for _, m := range w.sim.Mistakes(0) {
		rules[m.Rule]++
	}
	if rules["refresh_under_24h"] != 2 || rules["refresh_after_expiry"] != 1 {
		t.Errorf("mistakes: %v", rules)
	}
}

func TestGrantHasAClockOfItsOwn(t *testing.T) {
	t.Parallel()
	for private, code := range map[bool]string{false: "", true: "100/10"} {
		w := setup(t, threadssim.Options{})
		if err := w.sim.SetUserKnobs("demo.user", func(k *threadssim.Knobs) { k.ProfilePrivate = private }); err != nil {
			t.Fatal(err)
		}
		for range 2 { // refreshed on day 40 and day 80
			w.clock.Add(40 * day)
			r := w.refresh()
			if r.status != 200 {
				t.Fatalf("private %v: refresh: %s", private, r.raw)
			}
			w.token = r.str("access_token")
		}
		w.clock.Add(10*day - 1)
		if r := w.get("/me"); r.status != 200 {
			t.Errorf("private %v: just before day 90: %s", private, r.raw)
		}
		w.clock.Add(1)
		if got := w.get("/me").code(); got != code {
			t.Errorf("private %v: on day 90: %q, want %q", private, got, code)
		}
		if private {
			refused(t, w.refresh(), 400, "100/10")
		}
	}
}

func TestTokenLivesAreKnobs(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{AutoApprove: true})
	w.set(`{"token_ttl_short":"10m","token_ttl_long":"2d","grant_ttl":"3d"}`)
	w.token = w.connect().str("access_token")
	long := w.get("/access_token", "grant_type", "th_exchange_token", "client_secret", threadssim.DefaultAppSecret)
	if !strings.Contains(long.raw, `"expires_in":172800`) {
		t.Errorf("long: %s", long.raw)
	}
	w.clock.Add(10 * time.Minute)
	refused(t, w.get("/me"), 400, "190/463")
	w.token = long.str("access_token")
	w.clock.Add(2*day - 10*time.Minute - 1)
	if r := w.get("/me"); r.status != 200 {
		t.Errorf("within two days: %s", r.raw)
	}
	w.clock.Add(1)
	refused(t, w.get("/me"), 400, "190/463")
	w.set(`{"token_ttl_long":"60d"}`)
	w.token, _ = w.grant("demo.user")
	w.clock.Add(3 * day)
	refused(t, w.get("/me"), 400, "100/10")
}

// A token keeps the scopes it was born with.
func TestScopesAreFrozen(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	w.token, _ = w.grant("demo.user", threads.ScopeBasic)
	w.grant("demo.user") // the person agrees to more, for another token
	refused(t, w.post("/me/threads", "media_type", "TEXT", "text", "x"), 500, "10")
	w.clock.Add(day)
	w.token = w.refresh().str("access_token")
	refused(t, w.post("/me/threads", "media_type", "TEXT", "text", "x"), 500, "10")
}
