package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/omni-write/threads/services/gateway"
)

// A cookie that somebody else planted must not end the flow: it would connect one person's account to another's user.
func TestPlantedCookie(t *testing.T) {
	t.Parallel()
	plain, secure := setup(t), setup(t, func(c *gateway.Config) { c.PublicURL = "https://api.example" })
	authThat(t, plain)
	authThat(t, secure)
	for name, c := range map[string]struct {
		h      *system
		cookie string
		good   bool
	}{
		"ours":                              {plain, "threads_oauth_state=secret", true},
		"ours, on https":                    {secure, "__Secure-threads_oauth_state=secret", true},
		"a name that ends like ours":        {plain, "evil-threads_oauth_state=secret", false},
		"the plain name on https":           {secure, "threads_oauth_state=secret", false},
		"two of our name":                   {plain, "threads_oauth_state=planted; threads_oauth_state=secret", false},
		"ours beside a planted one's name":  {plain, "threads_oauth_state=secret; evil-threads_oauth_state=x", true},
		"https, with the plain one planted": {secure, "__Secure-threads_oauth_state=secret; threads_oauth_state=x", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := c.h.do(t, http.MethodGet, "/api/auth/threads/callback?state=s&code=code", "", "Cookie", c.cookie, "Authorization", "")
			if good := strings.Contains(r.header.Get("Location"), "connectCode=once"); r.status != http.StatusFound || good != c.good {
				t.Errorf("%d %s", r.status, r.header.Get("Location"))
			}
		})
	}
}

func TestHalfPairs(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for body, status := range map[string]int{
		`{"text":"\ud800"}`:             http.StatusBadRequest,
		`{"text":"\ude00\ud83d"}`:       http.StatusBadRequest,
		`{"text":"\ud83dx"}`:            http.StatusBadRequest,
		`{"text":"\\ud800", "x"`:        http.StatusBadRequest, // torn, not a surrogate
		`{"text":"\\ud800","x":1}`:      http.StatusUnprocessableEntity,
		`{"text":"\ud83d\ude00","x":1}`: http.StatusUnprocessableEntity, // a whole pair: only the field is unknown
	} {
		if r := h.do(t, http.MethodPost, "/api/threads/post", body); r.status != status {
			t.Errorf("%s is answered %d: %s", body, r.status, r.body)
		}
	}
}

func TestUnwritableTimes(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for _, at := range []string{"9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59"} {
		h.do(t, http.MethodPost, "/api/threads/post/schedule", `{"text":"x","scheduledAt":"`+at+`"}`).problem(t, 422, "invalid", "/scheduledAt")
		h.do(t, http.MethodPatch, "/api/threads/post/schedule/post_01jbkq4t00e7x8v5n2m3k9w0ra", `{"scheduledAt":"`+at+`"}`).problem(t, 422, "invalid", "/scheduledAt")
	}
}
