package gateway_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/services/gateway"
)

// signedInWith is a gateway before an issuer of which a test signs tokens, and how it answers to one: in, or what is wrong.
func signedInWith(t *testing.T, change func(*gateway.Config)) (c *clerk, key *ecdsa.PrivateKey, shown func(*testing.T, string) string) {
	t.Helper()
	c, key = newClerkWithKey(t)
	h := &system{bus: bustest.New(t)}
	h.url = serve(t, h.bus, func(cfg *gateway.Config) {
		cfg.AuthIssuer = c.url
		if change != nil {
			change(cfg)
		}
	})
	answer(t, h, func(asks.ListConnections) (asks.ConnectionList, error) { return asks.ConnectionList{}, nil })
	return c, key, func(t *testing.T, token string) string {
		t.Helper()
		r := h.do(t, http.MethodGet, "/api/threads/connections", "", "Authorization", "Bearer "+token)
		if r.status == http.StatusOK {
			return "in"
		}
		return r.problem(t, http.StatusUnauthorized, "unauthorized", "/Authorization").Errors[0].Code
	}
}

// newClerkWithKey is an issuer with a key of which a test signs tokens.
func newClerkWithKey(t *testing.T) (*clerk, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := newClerk(t)
	c.add("ec", key)
	return c, key
}

// signedAs is a good token of the issuer, with claims and a type of its header in addition; nil takes one away.
func (c *clerk) signedAs(t *testing.T, key *ecdsa.PrivateKey, typ any, more map[string]any) string {
	t.Helper()
	claims := jwt.MapClaims{"iss": c.url, "sub": ada, "exp": in(time.Minute)}
	maps.Copy(claims, more)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["kid"] = "ec"
	token.Header["typ"] = typ
	if typ == nil {
		delete(token.Header, "typ")
	}
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Every kind of token that an issuer signs for something else than this API, and those that are meant for it.
func TestKindsOfTokens(t *testing.T) {
	t.Parallel()
	type claims = map[string]any
	type token struct {
		typ  any
		more claims
	}
	tries := func(t *testing.T, change func(*gateway.Config), want string, tokens map[string]token) {
		t.Helper()
		c, key, shown := signedInWith(t, change)
		for name, k := range tokens {
			if got := shown(t, c.signedAs(t, key, k.typ, k.more)); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
	meant := func(cfg *gateway.Config) {
		cfg.AuthAudience, cfg.AuthAuthorizedParties = []string{" threads"}, []string{"http://localhost:5173", " client_ours"}
	}

	t.Run("whatever is configured, those of other kinds", func(t *testing.T) {
		t.Parallel()
		others := map[string]token{}
		for name, k := range map[string]token{
			"an ID token, by its nonce":             {"JWT", claims{"nonce": "n-0S6_WzA2Mj"}},
			"an ID token, by its hash":              {"JWT", claims{"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}},
			"an ID token, by its code's hash":       {"JWT", claims{"c_hash": "LDktKdoQak3Pk0cnXxCltA"}},
			"an ID token, by Cognito's word":        {"JWT", claims{"token_use": "id"}},
			"an ID token, by Keycloak's word":       {"JWT", claims{"typ": "ID"}},
			"a refresh token, by Keycloak's word":   {"JWT", claims{"typ": "Refresh"}},
			"an offline token":                      {"JWT", claims{"typ": "Offline"}},
			"a refresh token, by token_use":         {"JWT", claims{"token_use": "refresh"}},
			"a refresh token, by token_type":        {"JWT", claims{"token_type": "refresh"}},
			"a refresh token, by type":              {"JWT", claims{"type": "refresh"}},
			"a kind that is no word":                {"JWT", claims{"token_use": 7}},
			"a logout token":                        {"logout+jwt", claims{"events": claims{"http://schemas.openid.net/event/backchannel-logout": claims{}}}},
			"a logout token that says JWT":          {"JWT", claims{"events": claims{"http://schemas.openid.net/event/backchannel-logout": claims{}}}},
			"a security event":                      {"secevent+jwt", nil},
			"a proof of possession":                 {"dpop+jwt", nil},
			"an authorisation request":              {"oauth-authz-req+jwt", nil},
			"a type that is no text":                {7, nil},
			"bound to a key":                        {"JWT", claims{"cnf": claims{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}},
			"bound to a certificate":                {"at+jwt", claims{"cnf": claims{"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}}},
			"for an API, of another client":         {"at+jwt", claims{"client_id": "client_third", "scope": "email", "azp": nil}},
			"the same, without saying at+jwt":       {"JWT", claims{"client_id": "client_third", "scope": "email", "azp": nil}},
			"the same, in Okta's words":             {"JWT", claims{"cid": "client_third", "scp": []string{"email"}, "azp": nil}},
			"for another audience":                  {"JWT", claims{"aud": "https://other.example"}},
			"for several others":                    {"at+jwt", claims{"aud": []string{"https://a.example", "https://b.example"}}},
			"with an end after the year 9999":       {"JWT", claims{"exp": int64(253402300800)}},
			"with an end that no clock has":         {"JWT", claims{"exp": 1e300}},
			"with an end in milliseconds":           {"JWT", claims{"exp": in(time.Hour) * 1000}},
			"with a beginning before there was any": {"JWT", claims{"nbf": -62135596800 * 2}},
		} {
			others[name] = k
			asOurs := token{k.typ, claims{"aud": "threads", "azp": "http://localhost:5173"}}
			maps.Copy(asOurs.more, k.more)
			others[name+", dressed as ours"] = asOurs
		}
		for setting, change := range map[string]func(*gateway.Config){"nothing": nil, "both": meant} {
			t.Run(setting, func(t *testing.T) {
				t.Parallel()
				tries(t, change, "token_invalid", others)
			})
		}
	})

	t.Run("Clerk's session tokens, where nothing is configured", func(t *testing.T) {
		t.Parallel()
		tries(t, nil, "in", map[string]token{
			"of the second version": {"JWT", claims{"azp": "https://app.example", "fva": []int{0, -1}, "iat": in(0), "jti": "x", "nbf": in(-10 * time.Second), "sid": "sess_1", "sts": "active", "v": 2}},
			"without an origin":     {"JWT", claims{"sid": "sess_1", "v": 2}},
			"without a type":        {nil, nil},
			"of an impersonator":    {"JWT", claims{"act": claims{"sub": "user_admin"}, "sid": "sess_1"}},
			"with claims of one's own, of names that may mean something else": {"JWT", claims{"type": "creator", "use": "posting", "email": "a@example.com"}},
			"that lives to the end of time":                                   {"JWT", claims{"exp": int64(253402300799)}},
		})
	})

	t.Run("where nothing is configured, none for a client or for an audience", func(t *testing.T) {
		t.Parallel()
		tries(t, nil, "token_invalid", map[string]token{
			"at+jwt alone":                {"at+jwt", nil},
			"a scope alone":               {"JWT", claims{"scope": "email"}},
			"an audience alone":           {"JWT", claims{"aud": "threads"}},
			"an audience in another type": {"JWT", claims{"aud": 7}},
		})
	})

	t.Run("those of an authorisation server, where both are configured", func(t *testing.T) {
		t.Parallel()
		tries(t, meant, "in", map[string]token{
			"RFC 9068":       {"at+jwt", claims{"aud": "threads", "client_id": "client_ours", "scope": "openid email"}},
			"the long type":  {"application/at+jwt", claims{"aud": []string{"threads"}, "client_id": "client_ours"}},
			"of Auth0":       {"JWT", claims{"aud": []string{"threads", "https://x/userinfo"}, "azp": "client_ours", "scope": "openid"}},
			"of Keycloak":    {"JWT", claims{"typ": "Bearer", "aud": []string{"account", "threads"}, "azp": "client_ours", "scope": "email"}},
			"of a frontend":  {"JWT", claims{"aud": "threads", "azp": "http://localhost:5173"}},
			"Cognito's word": {"JWT", claims{"token_use": "access", "aud": "threads", "client_id": "client_ours"}},
		})
		tries(t, meant, "token_invalid", map[string]token{
			"no party":               {"JWT", claims{"aud": "threads"}},
			"an empty party":         {"JWT", claims{"aud": "threads", "azp": ""}},
			"two that differ":        {"JWT", claims{"aud": "threads", "azp": "http://localhost:5173", "client_id": "client_third"}},
			"no audience":            {"JWT", claims{"azp": "http://localhost:5173"}},
			"a party that is a list": {"JWT", claims{"aud": "threads", "azp": []string{"http://localhost:5173"}}},
		})
	})

	t.Run("a client that is named is enough where the issuer leaves the audience out", func(t *testing.T) {
		t.Parallel()
		only := func(cfg *gateway.Config) { cfg.AuthAuthorizedParties = []string{"client_ours"} }
		tries(t, only, "in", map[string]token{"ours": {"at+jwt", claims{"client_id": "client_ours", "scope": "email"}}})
		tries(t, only, "token_invalid", map[string]token{
			"another's": {"at+jwt", claims{"client_id": "client_third", "scope": "email"}},
			"nobody's":  {"JWT", nil},
		})
	})
}

// An address that anybody on the way could answer for is no place to read keys from, and tokens for anybody are for nobody.
func TestIssuerConfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  map[string]string
		want string // in what is wrong; empty: nothing is
	}{
		"Clerk in production":             {map[string]string{"AUTH_ISSUER": "https://clerk.example.com"}, ""},
		"Clerk in development":            {map[string]string{"AUTH_ISSUER": "https://happy-cat-1.clerk.accounts.dev"}, ""},
		"this machine":                    {map[string]string{"AUTH_ISSUER": "http://localhost:9098"}, ""},
		"this machine by its address":     {map[string]string{"AUTH_ISSUER": "http://[::1]:9098"}, ""},
		"another, with an audience":       {map[string]string{"AUTH_ISSUER": "https://id.example.com", "AUTH_AUDIENCE": "threads"}, ""},
		"another, that has none":          {map[string]string{"AUTH_ISSUER": "https://id.example.com", "AUTH_NO_AUDIENCE": "true"}, ""},
		"another":                         {map[string]string{"AUTH_ISSUER": "https://id.example.com"}, "AUTH_AUDIENCE is required"},
		"another, with a comma":           {map[string]string{"AUTH_ISSUER": "https://id.example.com", "AUTH_AUDIENCE": " , "}, "AUTH_AUDIENCE is required"},
		"another, with Clerk in its path": {map[string]string{"AUTH_ISSUER": "https://id.example.com/clerk.example.com"}, "AUTH_AUDIENCE is required"},
		"over http":                       {map[string]string{"AUTH_ISSUER": "http://clerk.example.com"}, "AUTH_ISSUER is an http address"},
		"over http, nearby":               {map[string]string{"AUTH_ISSUER": "http://10.0.0.7", "AUTH_AUDIENCE": "threads"}, "AUTH_ISSUER is an http address"},
		"a name that begins like ours":    {map[string]string{"AUTH_ISSUER": "http://localhost.example.com", "AUTH_AUDIENCE": "threads"}, "AUTH_ISSUER is an http address"},
		"keys over http":                  {map[string]string{"AUTH_ISSUER": "https://clerk.example.com", "AUTH_JWKS_URL": "http://keys.example.com"}, "AUTH_JWKS_URL is an http address"},
		"keys in a file":                  {map[string]string{"AUTH_ISSUER": "http://localhost:9098", "AUTH_JWKS_URL": "file:///data/jwks.json"}, ""},
		"keys in a file elsewhere":        {map[string]string{"AUTH_ISSUER": "http://localhost:9098", "AUTH_JWKS_URL": "file://host/jwks.json"}, "AUTH_JWKS_URL is neither"},
		"an issuer in a file":             {map[string]string{"AUTH_ISSUER": "file:///issuer"}, "AUTH_ISSUER is not an http(s) address"},
		"keys on this machine":            {map[string]string{"AUTH_ISSUER": "https://clerk.example.com", "AUTH_JWKS_URL": "http://127.0.0.1:1/keys"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{
				"PUBLIC_URL": "http://api.example", "THREADS_SUCCESS_REDIRECT_URI": "http://app.example", "THREADS_FAILURE_REDIRECT_URI": "http://app.example",
			}
			maps.Copy(env, c.env)
			_, err := gateway.ConfigFromEnv(func(name string) string { return env[name] })
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestIssuersKeys(t *testing.T) {
	t.Parallel()
	reads := func(t *testing.T, c *clerk) error {
		t.Helper()
		s := newGateway(t, c.url)
		return s.ReadKeys(t.Context())
	}

	t.Run("are not taken from where a redirect leads, unless that is https", func(t *testing.T) {
		t.Parallel()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c, planted := newClerk(t), newClerk(t)
		planted.add("ec", key)
		c.instead(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, planted.url+"/.well-known/jwks.json", http.StatusFound)
		})
		if err := reads(t, c); err == nil || !strings.Contains(err.Error(), "not https") {
			t.Errorf("read with %v", err)
		}
		if planted.reads.Load() != 0 {
			t.Error("the redirect was followed")
		}
	})

	t.Run("are not taken where they are short", func(t *testing.T) {
		t.Parallel()
		short, err := rsa.GenerateKey(rand.Reader, 1024)
		if err != nil {
			t.Skip(err) // GODEBUG says so
		}
		long, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		c := newClerk(t)
		c.add("short", short)
		if err := reads(t, c); err == nil || !strings.Contains(err.Error(), "2048 bits") {
			t.Errorf("read with %v", err)
		}
		c.add("long", long)
		h := &system{bus: bustest.New(t)}
		h.url = serve(t, h.bus, func(cfg *gateway.Config) { cfg.AuthIssuer = c.url })
		answer(t, h, func(asks.ListConnections) (asks.ConnectionList, error) { return asks.ConnectionList{}, nil })
		for id, k := range map[string]crypto.Signer{"short": short, "long": long, "": short} {
			h.token = c.token(t, jwt.SigningMethodRS256, id, k, nil)
			if r := h.do(t, http.MethodGet, "/api/threads/connections", ""); (r.status == http.StatusOK) != (id == "long") {
				t.Errorf("%q: %d %s", id, r.status, r.body)
			}
		}
	})

	t.Run("are not taken with an exponent of 1, which signs nothing", func(t *testing.T) {
		t.Parallel()
		long, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		jwk, err := jwkset.NewJWKFromKey(&long.PublicKey, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: "one"}})
		if err != nil {
			t.Fatal(err)
		}
		m := jwk.Marshal()
		m.E = "AQ" // 1
		c := newClerk(t)
		c.instead(func(w http.ResponseWriter, _ *http.Request) {
			if err := json.NewEncoder(w).Encode(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{m}}); err != nil {
				t.Error(err)
			}
		})
		if err := reads(t, c); err == nil {
			t.Error("taken")
		}
	})

	t.Run("are not taken from http where the issuer has https", func(t *testing.T) {
		t.Parallel()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		planted := newClerk(t)
		planted.add("ec", key)
		if gateway.Trusts("https://id.example", planted.url) || gateway.Trusts("http://127.0.0.1:1", "http://keys.example/x") {
			t.Error("keys over http are trusted")
		}
		if !gateway.Trusts("http://127.0.0.1:1", planted.url) || !gateway.Trusts("https://id.example", "https://keys.example") {
			t.Error("keys that nobody can change are not trusted")
		}
	})
}

// newGateway is a gateway that nobody asks.
func newGateway(t *testing.T, issuer string) *gateway.Service {
	t.Helper()
	s, err := gateway.New(gateway.Config{
		PublicURL: "http://api.example", SuccessRedirectURI: "http://app.example", FailureRedirectURI: "http://app.example", AuthIssuer: issuer,
	}, gateway.Deps{Bus: bustest.New(t), Log: bustest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
