package threadssim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// How long things live; all but codes by default.
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
func (s *store) account(username string) (*user, error) {
	username = account(username)
	if !usernameShape.MatchString(username) {
		return nil, fmt.Errorf("%.40q is not a username: letters, digits, dots and underscores, at most 30", username)
	}
	if u := s.byName[username]; u != nil {
		return u, nil
	}
	u := &user{ID: nextID(firstUser, &s.ids.users), Username: username, persona: persona{Joined: s.now()}}
	return u, s.commit(entry{User: u})
}

// issue makes a token that lives as long as the account's knobs say. The caller holds the lock.
func (s *store) issue(t token, k *Knobs, now time.Time) (string, error) {
	prefix, life := "THSIMS", time.Duration(k.TokenTTLShort)
	if t.Long {
		prefix, life = "THSIML", time.Duration(k.TokenTTLLong)
	}
	secret := newSecret(prefix)
	t.Digest, t.Issued, t.Expires = digestOf(secret), now, now.Add(life)
	return secret, s.commit(entry{Token: &t})
}

// revoke kills all tokens an account has.
func (s *store) revoke(username string, subcode int) error {
	u := s.byName[username]
	if u == nil {
		return fmt.Errorf("no user %.40q", username)
	}
	for _, t := range s.tokens {
		if t.UserID != u.ID || t.Revoked != 0 {
			continue
		}
		dead := *t
		dead.Revoked = subcode
		if err := s.commit(entry{Token: &dead}); err != nil {
			return err
		}
	}
	return nil
}

// grantEnds is when a person has to agree again, whatever became of the token.
func (t *token) grantEnds(k *Knobs) time.Time { return t.Granted.Add(time.Duration(k.GrantTTL)) }

// accessToken is one address for two calls, told apart by their grant_type.
func accessToken(c *call) answer {
	if c.params.Get("grant_type") == "client_credentials" {
		return appToken(c)
	}
	return exchange(c)
}

// appToken gives the app a token of its own, which has no end.
func appToken(c *call) answer {
	switch {
	case c.params.Get("client_id") != c.api.app.id:
		return exchangeRefused("Invalid platform app")
	case c.params.Get("client_secret") != c.api.app.secret:
		return exchangeRefused("Error validating client secret.")
	}
	return success(map[string]any{"access_token": c.api.app.token(), "token_type": "bearer"})
}

// exchange trades a code for a short-lived token. A code works once, even if the answer is lost.
func exchange(c *call) answer {
	p := c.params
	switch {
	case p.Get("client_id") != c.api.app.id:
		return exchangeRefused("Invalid platform app")
	case p.Get("client_secret") != c.api.app.secret:
		return exchangeRefused("Error validating client secret.")
	case p.Get("grant_type") != "authorization_code":
		return exchangeRefused("Invalid grant_type")
	}
	known := c.store.codes[digestOf(p.Get("code"))]
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
	if err := c.store.commit(entry{Code: &used}); err != nil {
		return unwell()
	}
	c.as(c.store.users[known.UserID])
	secret, err := c.store.issue(token{UserID: known.UserID, Scopes: known.Scopes, Granted: known.Issued}, c.knobs, c.at)
	if err != nil {
		return unwell()
	}
	// The one place where an id is a bare number.
	id := known.UserID
	if c.knobs.ForeignUserID {
		id = foreignID(id)
	}
	return success(map[string]any{"access_token": secret, "user_id": json.Number(id)})
}

// foreignID is the id some accounts are given at the exchange and know nothing of afterwards.
func foreignID(id string) string {
	n, _ := strconv.ParseInt(id, 10, 64) // ids are numbers
	return strconv.FormatInt(n+8_000_000_000_000, 10)
}

// exchangeLong trades a short-lived token for a long-lived one.
func exchangeLong(c *call) answer {
	p := c.params
	if p.Get("grant_type") != "th_exchange_token" {
		return refuse(http.StatusBadRequest, oauthException, 100, 0, "Param grant_type must be th_exchange_token")
	}
	if p.Get("client_secret") != c.api.app.secret {
		return refuse(http.StatusBadRequest, oauthException, 100, 0, "Error validating client secret.")
	}
	if a, ok := authenticate(c); !ok {
		return a
	}
	if c.token.Long {
		return refuse(http.StatusBadRequest, oauthException, 452, 4279019,
			"Session key invalid. This could be because the session was revoked.")
	}
	return c.reissue(c.token.Granted)
}

// refresh renews a long-lived token, and with it the grant if the profile is public. The old token goes on until its own
// end; whether the real one does is not documented.
func refresh(c *call) answer {
	if c.params.Get("grant_type") != "th_refresh_token" {
		return refuse(http.StatusBadRequest, oauthException, 100, 0, "Param grant_type must be th_refresh_token")
	}
	if a, ok := authenticate(c); !ok {
		if t := c.store.tokens[digestOf(c.params.Get("access_token"))]; t != nil && !c.at.Before(t.Expires) {
			c.mistake(refreshedTooLate, "a token was refreshed after its end at "+stamp(t.Expires))
		}
		return a
	}
	young := c.token.Long && c.at.Sub(c.token.Issued) < refreshableAge
	if young {
		c.mistake(refreshedTooSoon, "a token was refreshed "+c.at.Sub(c.token.Issued).String()+" after it was issued")
	}
	if !c.token.Long || (young && c.knobs.RefreshTooYoung == "refuse") {
		// The true code is not known. It is not 190: the token is as good as before.
		return refuse(http.StatusBadRequest, oauthException, 100, 0,
			"Param access_token must be a long-lived token of at least 24 hours of age")
	}
	if c.knobs.ProfilePrivate {
		return c.reissue(c.token.Granted)
	}
	return c.reissue(c.at)
}

func (c *call) reissue(granted time.Time) answer {
	secret, err := c.store.issue(token{UserID: c.token.UserID, Long: true, Scopes: c.token.Scopes, Granted: granted}, c.knobs, c.at)
	if err != nil {
		return unwell()
	}
	life := time.Duration(c.knobs.TokenTTLLong)
	return success(map[string]any{"access_token": secret, "token_type": "bearer", "expires_in": int64(life.Seconds())})
}

// debugToken tells about input_token, to a person or to the app itself. A token that is no good is told about with its
// error; one that was never given out has nothing else to tell.
func debugToken(c *call) answer {
	if !c.api.app.owns(c.params.Get("access_token")) {
		if a, ok := authenticate(c); !ok {
			if c.knobs.CleanHTTPStatus == "observed" {
				a.status = http.StatusInternalServerError // this call was seen to say so of its caller's token
			}
			return a
		}
	}
	raw := c.params.Get("input_token")
	if raw == "" {
		return refuse(http.StatusBadRequest, oauthException, 100, 0, "The parameter input_token is required")
	}
	if c.api.app.owns(raw) {
		return success(map[string]any{"data": map[string]any{
			"type": "APP", "application": c.api.app.name, "is_valid": true, "scopes": []string{},
		}})
	}
	t := c.store.tokens[digestOf(raw)]
	if t == nil {
		return success(map[string]any{"data": map[string]any{
			"is_valid": false, "scopes": []string{}, "error": debugError(unparsable()),
		}})
	}
	k := c.store.users[t.UserID].knobs
	if c.user != nil && c.user.ID == t.UserID {
		k = c.knobs
	}
	told := map[string]any{
		"type":                   "USER",
		"application":            c.api.app.name,
		"is_valid":               true,
		"issued_at":              t.Issued.Unix(),
		"expires_at":             t.Expires.Unix(),
		"data_access_expires_at": t.grantEnds(k).Unix(),
		"scopes":                 slices.Clone(t.Scopes),
		"user_id":                t.UserID,
	}
	if a, ok := c.alive(t, k); !ok {
		told["is_valid"], told["error"] = false, debugError(a)
	}
	return success(map[string]any{"data": told})
}

// debugError is an error inside a success.
func debugError(a answer) map[string]any {
	e, _ := a.body.(map[string]any)["error"].(graphError)
	told := map[string]any{"code": e.Code, "message": e.Message}
	if e.Subcode != 0 {
		told["subcode"] = e.Subcode
	}
	return told
}
