package threadssim

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"slices"

	"github.com/omni-write/threads/internal/threads"
)

// app is the one application that this Threads knows.
type app struct {
	id, secret, name string
	redirectURIs     []string // the registered ones; none: any http(s) address
}

// token is the same every time, and does not show the app's secret.
func (a app) token() string {
	sum := sha256.Sum256([]byte("app token\x00" + a.id + "\x00" + a.secret))
	return "TH|" + a.id + "|" + base64.RawURLEncoding.EncodeToString(sum[:])[:27]
}

// owns takes the token that was given out and the shorthand of id and secret.
func (a app) owns(raw string) bool {
	for _, known := range []string{a.token(), "TH|" + a.id + "|" + a.secret} {
		if subtle.ConstantTimeCompare([]byte(raw), []byte(known)) == 1 {
			return true
		}
	}
	return false
}

// check refuses what no app of this id may ask of a person.
func (a app) check(q authRequest) (answer, bool) {
	target, err := url.Parse(q.RedirectURI)
	registered := err == nil && target.Host != "" && (target.Scheme == "https" || target.Scheme == "http")
	if len(a.redirectURIs) > 0 {
		registered = slices.Contains(a.redirectURIs, q.RedirectURI)
	}
	switch {
	case q.ClientID != a.id:
		return windowError(1349026, "Invalid App ID: The provided app ID does not look like a valid app ID."), false
	case !registered:
		return windowError(1349168, "URL Blocked: This redirect failed because the redirect URI is not whitelisted in the app's Client OAuth Settings."), false
	case q.ResponseType != "" && q.ResponseType != "code":
		return windowError(1349000, "Invalid response_type: it must be code."), false
	case !slices.Contains(q.Scopes(), threads.ScopeBasic):
		return windowError(1349000, "Invalid scope: threads_basic is required."), false
	}
	return answer{}, true
}
