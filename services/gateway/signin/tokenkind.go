package signin

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// An issuer signs many kinds of tokens with one key: for sessions, for identities, for other APIs, for logging out. Only those
// that are meant to open this API may do so (RFC 8725, sections 3.9, 3.11 and 3.12).

// claims are what we look at. The parser looks at iss, exp, nbf, iat and, where an audience is configured, aud.
type claims struct {
	jwt.RegisteredClaims
	// AuthorizedParty is the origin or the client that the token was made for; the others are the same in other words.
	AuthorizedParty string `json:"azp"`
	ClientID        string `json:"client_id"` // RFC 9068
	Cid             string `json:"cid"`       // Okta
	AppID           string `json:"appid"`     // Entra
	// SessionStatus is Clerk's: a pending session has steps left, such as choosing an organisation.
	SessionStatus string `json:"sts"`
	// Email is there where the issuer was told to put it into session tokens.
	Email         any `json:"email"`
	EmailVerified any `json:"email_verified"`

	// What says of which kind the token is. Values of other types than we expect are a kind that we do not know.
	Typ       any `json:"typ"`        // Keycloak: Bearer, ID, Refresh, Offline, Logout
	TokenUse  any `json:"token_use"`  // Cognito: access, id
	TokenType any `json:"token_type"` // others: access, refresh
	Type      any `json:"type"`
	Use       any `json:"use"`
	Scope     any `json:"scope"`
	Scp       any `json:"scp"`
	// What only other kinds have: ID tokens, logout tokens, and tokens that are bound to a key or a certificate.
	Nonce        any `json:"nonce"`
	AccessHash   any `json:"at_hash"`
	CodeHash     any `json:"c_hash"`
	StateHash    any `json:"s_hash"`
	Events       any `json:"events"`
	Confirmation any `json:"cnf"`
}

// errUnwritable says that a time of a token cannot be written down: it is before 1970 or after 9999.
var errUnwritable = errors.New("a time of the token is out of range")

// Validate is asked by the parser, besides its own checks.
func (c claims) Validate() error {
	for _, at := range []*jwt.NumericDate{c.ExpiresAt, c.NotBefore, c.IssuedAt} {
		if at != nil && (at.Year() < 1970 || at.UTC().Year() > 9999) {
			return errUnwritable
		}
	}
	return nil
}

// ends is when the token expires.
func (c claims) ends() time.Time { return c.ExpiresAt.UTC() }

// headerTypes are the `typ` of a header that a token for an API has.
var headerTypes = []string{"", "jwt", "at+jwt", "application/jwt", "application/at+jwt"}

// accessWords are what an access or session token is called in its claims.
var accessWords = []string{"", "access", "access_token", "at+jwt", "bearer", "jwt", "session", "session_token"}

// otherWords are what tokens of other kinds are called, in claims whose name may also mean something else.
var otherWords = []string{"refresh", "refresh_token", "id", "id_token", "logout", "logout_token", "offline"}

// wrongKind says why a token, whose signature, issuer and times are good, is not meant to open this API; empty: it is.
func (v *Verifier) wrongKind(header map[string]any, c claims) string {
	if header["crit"] != nil { // something must be understood, and we understand no extension
		return "crit"
	}
	typ, ok := word(header["typ"])
	if !ok || !slices.Contains(headerTypes, typ) {
		return "typ"
	}
	for name, value := range map[string]any{"typ claim": c.Typ, "token_use": c.TokenUse, "token_type": c.TokenType} {
		if said, ok := word(value); !ok || !slices.Contains(accessWords, said) {
			return name
		}
	}
	for name, value := range map[string]any{"type": c.Type, "use": c.Use} {
		if said, _ := word(value); slices.Contains(otherWords, said) {
			return name
		}
	}
	for name, value := range map[string]any{
		"nonce": c.Nonce, "at_hash": c.AccessHash, "c_hash": c.CodeHash, "s_hash": c.StateHash, "events": c.Events, "cnf": c.Confirmation,
	} {
		if value != nil {
			return name
		}
	}
	return v.notForUs(strings.HasSuffix(typ, "at+jwt"), c)
}

// notForUs says why a token for an API is for another API or client.
func (v *Verifier) notForUs(oauth bool, c claims) string {
	audience := slices.DeleteFunc(slices.Clone(c.Audience), func(a string) bool { return a == "" })
	if !v.audience && len(audience) > 0 {
		return "aud, while AUTH_AUDIENCE is not set"
	}
	parties := slices.DeleteFunc([]string{c.AuthorizedParty, c.ClientID, c.Cid, c.AppID}, func(p string) bool { return p == "" })
	if len(v.parties) > 0 {
		if len(parties) == 0 {
			return "no azp"
		}
		for _, party := range parties {
			if !slices.Contains(v.parties, party) {
				return "azp"
			}
		}
		return ""
	}
	// What an authorisation server gave some client for some scope opens this API only where somebody said that it is ours.
	client := c.ClientID != "" || c.Cid != "" || c.AppID != ""
	if !v.audience && (oauth || client || c.Scope != nil || c.Scp != nil) {
		return "an access token for a client, while neither AUTH_AUDIENCE nor AUTH_AUTHORIZED_PARTIES is set"
	}
	return ""
}

// word is a text in lower case; it is not ok where there is something else than a text.
func word(value any) (text string, ok bool) {
	if value == nil {
		return "", true
	}
	text, ok = value.(string)
	return strings.ToLower(text), ok
}
