package threadssim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads/threadssim"
)

const back = "https://app.example/cb"

func window(more ...string) url.Values {
	v := url.Values{
		"client_id": {threadssim.DefaultAppID}, "redirect_uri": {back}, "response_type": {"code"}, "state": {"s1"},
		"scope": {"threads_basic threads_content_publish"},
	}
	for name, values := range pairs(more) {
		v[name] = values
	}
	return v
}

func TestAuthorizeWindow(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{RedirectURIs: []string{back}})
	open := func(v url.Values) reply { return w.send(http.MethodGet, "/oauth/authorize?"+v.Encode(), "", "") }
	decide := func(v url.Values) reply { return w.send(http.MethodPost, "/oauth/authorize", form, v.Encode()) }

	t.Run("asks", func(t *testing.T) {
		r := open(window("state", `"><script>`))
		if r.status != 200 || !strings.Contains(r.raw, "threads_content_publish") || strings.Contains(r.raw, "<script>") {
			t.Errorf("window: %d %s", r.status, r.raw)
		}
	})
	t.Run("refuses", func(t *testing.T) {
		for code, v := range map[string]url.Values{
			"1349026": window("client_id", "1"),
			"1349168": window("redirect_uri", back+"/"),
			"1349000": window("scope", "threads_content_publish"),
		} {
			if r := open(v); r.status != 400 || !strings.Contains(r.raw, `"error_code":`+code) {
				t.Errorf("window: %d %s, want %s", r.status, r.raw, code)
			}
			v.Set("decision", "allow")
			if r := decide(v); r.status != 400 {
				t.Errorf("decision: %d %s", r.status, r.raw)
			}
		}
	})
	t.Run("denied", func(t *testing.T) {
		r := decide(window("decision", "deny"))
		want := back + "?error=access_denied&error_description=The+user+denied+your+request&error_reason=user_denied&state=s1"
		if r.status != http.StatusFound || !strings.HasSuffix(r.raw, want) {
			t.Errorf("denied: %d %s", r.status, r.raw)
		}
	})
	t.Run("allowed", func(t *testing.T) {
		r := decide(window("decision", "allow", "username", "@New.Person"))
		if r.status != http.StatusFound || !strings.HasSuffix(r.raw, "&state=s1#_") {
			t.Errorf("allowed: %d %s", r.status, r.raw)
		}
	})
	t.Run("a name nobody can have", func(t *testing.T) {
		if r := decide(window("decision", "allow", "username", "a b")); r.status != 400 || !strings.Contains(r.raw, "not a username") {
			t.Errorf("got %d %s", r.status, r.raw)
		}
	})
}

func TestExchange(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{AutoApprove: true})
	code := func() string {
		t.Helper()
		r := w.send(http.MethodGet, "/oauth/authorize?"+window().Encode(), "", "")
		_, query, _ := strings.Cut(r.raw[strings.LastIndex(r.raw, back):], "?")
		v, err := url.ParseQuery(strings.TrimSuffix(query, "#_"))
		if err != nil || v.Get("code") == "" {
			t.Fatalf("no code in %s", r.raw)
		}
		return v.Get("code")
	}
	exchange := func(more ...string) reply {
		v := url.Values{
			"client_id": {threadssim.DefaultAppID}, "client_secret": {threadssim.DefaultAppSecret},
			"grant_type": {"authorization_code"}, "redirect_uri": {back},
		}
		for name, values := range pairs(more) {
			v[name] = values
		}
		return w.send(http.MethodPost, "/oauth/access_token", form, v.Encode())
	}
	bad := func(r reply) {
		t.Helper()
		if r.status != 400 || r.str("error_type") != "OAuthException" || r.body["error"] != nil {
			t.Errorf("got %d %s, want the exchange's own shape", r.status, r.raw)
		}
	}

	fresh := code()
	bad(exchange("code", fresh, "client_secret", "wrong"))
	bad(exchange("code", fresh, "client_id", "1"))
	bad(exchange("code", fresh, "redirect_uri", back+"/"))
	bad(exchange("code", fresh+"#_"))
	bad(exchange("code", "unknown"))
	r := exchange("code", fresh)
	if r.status != 200 || !strings.Contains(r.raw, `"user_id":17841405793187219`) {
		t.Fatalf("exchange: %d %s", r.status, r.raw)
	}
	bad(exchange("code", fresh))
	old := code()
	w.clock.Add(time.Hour)
	bad(exchange("code", old))

	w.token = r.str("access_token")
	refused(t, w.get("/access_token", "grant_type", "th_exchange_token", "client_secret", threadssim.DefaultAppSecret), 400, "190/463")
	w.token = exchange("code", code()).str("access_token")
	refused(t, w.get("/access_token", "grant_type", "th_exchange_token", "client_secret", "wrong"), 400, "100")
	refused(t, w.get("/refresh_access_token", "grant_type", "th_refresh_token"), 400, "100")
	long := w.get("/access_token", "grant_type", "th_exchange_token", "client_secret", threadssim.DefaultAppSecret)
	if !strings.Contains(long.raw, `"expires_in":5183944`) {
		t.Fatalf("long-lived: %s", long.raw)
	}
	w.token = long.str("access_token")
	refused(t, w.get("/access_token", "grant_type", "th_exchange_token", "client_secret", threadssim.DefaultAppSecret), 400, "452/4279019")
	refused(t, w.get("/refresh_access_token", "grant_type", "th_refresh_token"), 400, "100")
	w.clock.Add(24 * time.Hour)
	if r := w.get("/refresh_access_token", "grant_type", "th_refresh_token"); r.status != 200 || r.str("access_token") == w.token {
		t.Errorf("refresh: %s", r.raw)
	}
}

// Every form a client may send is the same call.
func TestEncodings(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	bearer := []string{"Authorization", "Bearer " + w.token}
	multipart := "--b\r\nContent-Disposition: form-data; name=\"media_type\"\r\n\r\nTEXT\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nhello\r\n--b--\r\n"
	for name, r := range map[string]reply{
		"query":         w.send(http.MethodPost, "/v1.0/me/threads?media_type=TEXT&text=hello&access_token="+w.token, "", ""),
		"no version":    w.send(http.MethodPost, "/me/threads?media_type=TEXT&text=hello", "", "", bearer...),
		"numeric id":    w.send(http.MethodPost, "/"+w.userID+"/threads?media_type=TEXT&text=hello", "", "", bearer...),
		"form":          w.send(http.MethodPost, "/v1.0/me/threads", form, "media_type=TEXT&text=hello&access_token="+w.token),
		"json":          w.send(http.MethodPost, "/v1.0/me/threads", "application/json", `{"media_type":"TEXT","text":"hello","children":["1"]}`, bearer...),
		"multipart":     w.send(http.MethodPost, "/v1.0/me/threads", "multipart/form-data; boundary=b", multipart, bearer...),
		"bearer and qs": w.send(http.MethodPost, "/v1.0/me/threads?access_token=x", form, "media_type=TEXT&text=hello", bearer...),
	} {
		if r.status != 200 || r.str("id") == "" {
			t.Errorf("%s: %d %s", name, r.status, r.raw)
		}
	}
	for _, k := range w.sim.Containers() {
		if k.Text != "hello" {
			t.Errorf("container %+v", k)
		}
	}
}
