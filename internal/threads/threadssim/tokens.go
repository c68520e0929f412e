package threadssim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

const (
	codeLife  = time.Hour
	shortLife = time.Hour
	// longLife is 60 days less the 56 s of the documentation's own example.
	longLife       = 60*24*time.Hour - 56*time.Second
	grantLife      = 90 * 24 * time.Hour
	refreshableAge = 24 * time.Hour
)

// defaultScopes are what a token gets when nobody says otherwise.
var defaultScopes = []string{
	threads.ScopeBasic, threads.ScopeContentPublish, threads.ScopeReadReplies,
	threads.ScopeManageReplies, threads.ScopeManageInsights, threads.ScopeDelete,
}

var usernameShape = regexp.MustCompile(`^[a-z0-9._]{1,30}$`)

// account finds the user of a name or makes one. The caller holds the lock.
func (s *Sim) account(username string) (*user, error) {
	username = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(username), "@"))
	if !usernameShape.MatchString(username) {
		return nil, fmt.Errorf("%.40q is not a username: letters, digits, dots and underscores, at most 30", username)
	}
	if u := s.byName[username]; u != nil {
		return u, nil
	}
	u := &user{ID: nextID(firstUser, &s.ids.users), Username: username}
	return u, s.commit(entry{User: u})
}

// issue makes a token. The caller holds the lock.
func (s *Sim) issue(t token, now time.Time) (string, error) {
	prefix, life := "THSIMS", shortLife
	if t.Long {
		prefix, life = "THSIML", longLife
	}
	secret := newSecret(prefix)
	t.Digest, t.Issued, t.Expires = digestOf(secret), now, now.Add(life)
	return secret, s.commit(entry{Token: &t})
}

// exchange trades a code for a short-lived token. A code works once, even if the answer is lost.
func exchange(c *call) answer {
	p := c.params
	switch {
	case p.Get("client_id") != c.sim.opts.AppID:
		return exchangeRefused("Invalid platform app")
	case p.Get("client_secret") != c.sim.opts.AppSecret:
		return exchangeRefused("Error validating client secret.")
	case p.Get("grant_type") != "authorization_code":
		return exchangeRefused("Invalid grant_type")
	}
	known := c.sim.codes[digestOf(p.Get("code"))]
	switch {
	case known == nil || known.Used:
		return exchangeRefused("Matching code was not found or was already used")
	case !c.at.Before(known.Issued.Add(codeLife)):
		return exchangeRefused("This authorization code has expired")
	case p.Get("redirect_uri") != known.RedirectURI:
		return exchangeRefused("Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request")
	}
	used := *known
	used.Used = true
	if err := c.sim.commit(entry{Code: &used}); err != nil {
		return unwell()
	}
	secret, err := c.sim.issue(token{UserID: known.UserID, Scopes: known.Scopes, Granted: known.Issued}, c.at)
	if err != nil {
		return unwell()
	}
	// The one place where an id is a bare number.
	return success(map[string]any{"access_token": secret, "user_id": json.Number(known.UserID)})
}

// exchangeLong trades a short-lived token for a long-lived one.
func exchangeLong(c *call) answer {
	p := c.params
	if p.Get("grant_type") != "th_exchange_token" {
		return refuse(http.StatusBadRequest, oauthException, 100, 0, "Param grant_type must be th_exchange_token")
	}
	if p.Get("client_secret") != c.sim.opts.AppSecret {
		return refuse(http.StatusBadRequest, oauthException, 100, 0, "Error validating client secret.")
	}
	if a, ok := authenticate(c); !ok {
		return a
	}
	if c.token.Long {
		return refuse(http.StatusBadRequest, oauthException, 452, 4279019, "Session key invalid. This could be because the session was revoked.")
	}
	return c.reissue(c.token.Granted, longLife)
}

// refresh renews a long-lived token, and with it the grant, as for every public profile. The old token goes on until
// its own end; whether the real one does is not documented.
func refresh(c *call) answer {
	if c.params.Get("grant_type") != "th_refresh_token" {
		return refuse(http.StatusBadRequest, oauthException, 100, 0, "Param grant_type must be th_refresh_token")
	}
	if a, ok := authenticate(c); !ok {
		return a
	}
	if !c.token.Long || c.at.Sub(c.token.Issued) < refreshableAge {
		// The true code is not known. It is not 190: the token is as good as before.
		return refuse(http.StatusBadRequest, oauthException, 100, 0, "Param access_token must be a long-lived token of at least 24 hours of age")
	}
	return c.reissue(c.at, longLife)
}

func (c *call) reissue(granted time.Time, life time.Duration) answer {
	secret, err := c.sim.issue(token{UserID: c.token.UserID, Long: true, Scopes: c.token.Scopes, Granted: granted}, c.at)
	if err != nil {
		return unwell()
	}
	return success(map[string]any{"access_token": secret, "token_type": "bearer", "expires_in": int64(life.Seconds())})
}

// debugToken tells about input_token.
func debugToken(c *call) answer {
	t := c.sim.tokens[digestOf(c.params.Get("input_token"))]
	if t == nil {
		return refuse(http.StatusBadRequest, oauthException, 100, 0, "The parameter input_token is required")
	}
	_, valid := c.alive(t)
	return success(map[string]any{"data": map[string]any{
		"type":                   "USER",
		"application":            "Simulated Threads",
		"is_valid":               valid,
		"issued_at":              t.Issued.Unix(),
		"expires_at":             t.Expires.Unix(),
		"data_access_expires_at": t.Granted.Add(grantLife).Unix(),
		"scopes":                 slices.Clone(t.Scopes),
		"user_id":                t.UserID,
	}})
}
