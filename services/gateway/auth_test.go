package gateway_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/services/gateway"
)

// clerk is an issuer whose every move a test makes.
type clerk struct {
	url  string
	down atomic.Bool
	// reads counts how often the keys were asked for.
	reads atomic.Int64

	mu   sync.Mutex
	keys map[string]crypto.Signer
	// says is what is answered in the place of the keys; nil: the keys.
	says http.HandlerFunc
}

func newClerk(t *testing.T) *clerk {
	t.Helper()
	c := &clerk{keys: map[string]crypto.Signer{}}
	mux := http.NewServeMux() // no discovery: Clerk's keys are at the usual place
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, r *http.Request) {
		c.reads.Add(1)
		if c.down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		c.mu.Lock()
		says := c.says
		c.mu.Unlock()
		if says != nil {
			says(w, r)
			return
		}
		c.serveKeys(t, w)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

func (c *clerk) serveKeys(t *testing.T, w http.ResponseWriter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var set jwkset.JWKSMarshal
	for id, key := range c.keys {
		jwk, err := jwkset.NewJWKFromKey(key.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: id}})
		if err != nil {
			t.Error(err)
			return
		}
		set.Keys = append(set.Keys, jwk.Marshal())
	}
	if key := c.keys["enc"]; key != nil { // not to sign with
		for i := range set.Keys {
			if set.Keys[i].KID == "enc" {
				set.Keys[i].USE = jwkset.UseEnc
			}
		}
	}
	// A careless issuer publishes a shared secret, too; it must count for nothing.
	set.Keys = append(set.Keys, jwkset.JWKMarshal{KTY: jwkset.KtyOct, KID: "shared", K: "c2hhcmVk"})
	if err := json.NewEncoder(w).Encode(set); err != nil {
		t.Error(err)
	}
}

// file is one with the keys.
func (c *clerk) file(t *testing.T) string {
	t.Helper()
	served := httptest.NewRecorder()
	c.serveKeys(t, served)
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, served.Body.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (c *clerk) remove(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.keys, id)
}

// instead has something else answered in the place of the keys.
func (c *clerk) instead(says http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.says = says
}

func (c *clerk) add(id string, key crypto.Signer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys[id] = key
}

// token is a good token of ada's, but for what change does to it.
func (c *clerk) token(t *testing.T, method jwt.SigningMethod, id string, key any, change func(jwt.MapClaims)) string {
	t.Helper()
	claims := jwt.MapClaims{"iss": c.url, "sub": ada, "exp": in(time.Minute), "nbf": in(-time.Minute)}
	if change != nil {
		change(claims)
	}
	token := jwt.NewWithClaims(method, claims)
	if id != "" {
		token.Header["kid"] = id
	}
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// with is a good token but for what is in its header.
func (c *clerk) with(t *testing.T, id string, key *ecdsa.PrivateKey, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": c.url, "sub": ada, "exp": in(time.Minute)})
	if id != "" {
		token.Header["kid"] = id
	}
	maps.Copy(token.Header, header)
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }

func TestBearerTokens(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	encKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	setup := func(t *testing.T, changes ...func(*gateway.Config)) (*system, *clerk) {
		t.Helper()
		c := newClerk(t)
		c.add("rsa", rsaKey)
		c.add("ec", ecKey)
		c.add("ed", edKey)
		c.add("enc", encKey)
		h := &system{bus: bustest.New(t)}
		h.url = serveWithoutKeys(t, h.bus, append([]func(*gateway.Config){func(cfg *gateway.Config) { cfg.AuthIssuer = c.url }}, changes...)...)
		answer(t, h, func(q asks.ListConnections) (asks.ConnectionList, error) {
			if q.UserID != ada {
				return asks.ConnectionList{}, events.Faultf(events.Internal, "asked for %q", q.UserID)
			}
			return asks.ConnectionList{}, nil
		})
		return h, c
	}
	// shown is how the gateway answers to the token: 200, or the code of what is wrong.
	shown := func(t *testing.T, h *system, token string) string {
		t.Helper()
		h.token = token
		r := h.do(t, http.MethodGet, "/api/threads/connections", "")
		for tries := 0; r.status == http.StatusServiceUnavailable && tries < 20; tries++ { // a slow machine: the issuer took too long
			r = h.do(t, http.MethodGet, "/api/threads/connections", "")
		}
		if r.status == http.StatusOK {
			return "in"
		}
		if p := r.problem(t, http.StatusUnauthorized, "unauthorized", "/Authorization"); len(p.Errors) == 1 {
			return p.Errors[0].Code
		}
		return string(r.body)
	}

	t.Run("are taken or refused for what they are", func(t *testing.T) {
		t.Parallel()
		h, c := setup(t)
		public, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		ec := func(change func(jwt.MapClaims)) string {
			return c.token(t, jwt.SigningMethodES256, "ec", ecKey, change)
		}
		good := ec(nil)
		for _, row := range []struct{ name, token, want string }{
			{"RS256", c.token(t, jwt.SigningMethodRS256, "rsa", rsaKey, nil), "in"},
			{"ES256", good, "in"},
			{"EdDSA", c.token(t, jwt.SigningMethodEdDSA, "ed", edKey, nil), "in"},
			{"without a key id", c.token(t, jwt.SigningMethodES256, "", ecKey, nil), "in"},
			{"expired within the leeway", ec(func(m jwt.MapClaims) { m["exp"] = in(-5 * time.Second) }), "in"},
			{"not yet valid within the leeway", ec(func(m jwt.MapClaims) { m["nbf"] = in(5 * time.Second) }), "in"},
			{"any party where none is configured", ec(func(m jwt.MapClaims) { m["azp"] = "https://other.example" }), "in"},
			{"made a moment ahead of our clock", ec(func(m jwt.MapClaims) { m["iat"] = in(5 * time.Second) }), "in"},
			{"an active session", ec(func(m jwt.MapClaims) { m["sts"] = "active" }), "in"},

			{"expired", ec(func(m jwt.MapClaims) { m["exp"] = in(-15 * time.Second) }), "token_expired"},
			{"without an end", ec(func(m jwt.MapClaims) { delete(m, "exp") }), "token_invalid"},
			{"not yet valid", ec(func(m jwt.MapClaims) { m["nbf"] = in(15 * time.Second) }), "token_invalid"},
			{"made in the future", ec(func(m jwt.MapClaims) { m["iat"] = in(15 * time.Second) }), "token_invalid"},
			{"expired and of another issuer", ec(func(m jwt.MapClaims) { m["exp"], m["iss"] = in(-time.Hour), "https://other.example" }), "token_invalid"},
			{"expired and signed by a stranger", c.token(t, jwt.SigningMethodES256, "ec", stranger, func(m jwt.MapClaims) { m["exp"] = in(-time.Hour) }), "token_invalid"},
			{"with an end that is no number", ec(func(m jwt.MapClaims) { m["exp"] = "tomorrow" }), "token_invalid"},
			{"of a number", ec(func(m jwt.MapClaims) { m["sub"] = 7 }), "token_invalid"},
			{"of nobody, pending", ec(func(m jwt.MapClaims) { m["sub"], m["sts"] = "", "pending" }), "token_invalid"},
			{"with more than anybody needs", ec(func(m jwt.MapClaims) { m["junk"] = strings.Repeat("x", 8<<10) }), "token_invalid"},
			{"with an extension that must be understood", c.with(t, "ec", ecKey, map[string]any{"crit": []string{"b64"}, "b64": false}), "token_invalid"},
			{"with an extension that need not be", c.with(t, "ec", ecKey, map[string]any{"x": 1}), "in"},
			{"with a key of its own", c.with(t, "ec", stranger, map[string]any{"jwk": map[string]string{"kty": "EC"}, "jku": "https://evil.example"}), "token_invalid"},
			{"with a key id that is a number", c.with(t, "", ecKey, map[string]any{"kid": 7}), "token_invalid"},
			{"with a key id that is a path", c.with(t, "../../dev/null", stranger, nil), "token_invalid"},
			{"signed with a key for encryption", c.token(t, jwt.SigningMethodES256, "enc", encKey, nil), "token_invalid"},
			{"signed with a key for encryption, without its id", c.token(t, jwt.SigningMethodES256, "", encKey, nil), "token_invalid"},
			{"RS256 under an EC key's id", c.token(t, jwt.SigningMethodRS256, "ec", rsaKey, nil), "token_invalid"},
			{"PS256 with an RSA key", c.token(t, jwt.SigningMethodPS256, "rsa", rsaKey, nil), "token_invalid"},
			{"HS256 with the public key as secret, without a key id", c.token(t, jwt.SigningMethodHS256, "", public, nil), "token_invalid"},
			{"of another issuer", ec(func(m jwt.MapClaims) { m["iss"] = "https://other.example" }), "token_invalid"},
			{"of the issuer with a slash", ec(func(m jwt.MapClaims) { m["iss"] = c.url + "/" }), "token_invalid"},
			{"without an issuer", ec(func(m jwt.MapClaims) { delete(m, "iss") }), "token_invalid"},
			{"of a pending session", ec(func(m jwt.MapClaims) { m["sts"] = "pending" }), "session_pending"},
			{"of nobody", ec(func(m jwt.MapClaims) { delete(m, "sub") }), "token_invalid"},
			{"of somebody with a NUL", ec(func(m jwt.MapClaims) { m["sub"] = "a\x00b" }), "token_invalid"},
			{"of somebody very long", ec(func(m jwt.MapClaims) { m["sub"] = strings.Repeat("a", 256) }), "token_invalid"},
			{"signed by a stranger", c.token(t, jwt.SigningMethodES256, "ec", stranger, nil), "token_invalid"},
			{"unsigned", c.token(t, jwt.SigningMethodNone, "ec", jwt.UnsafeAllowNoneSignatureType, nil), "token_invalid"},
			{"HS256 with the public key as secret", c.token(t, jwt.SigningMethodHS256, "rsa", public, nil), "token_invalid"},
			{"HS256 with a published secret", c.token(t, jwt.SigningMethodHS256, "shared", []byte("shared"), nil), "token_invalid"},
			{"RS512", c.token(t, jwt.SigningMethodRS512, "rsa", rsaKey, nil), "token_invalid"},
			{"ES256 under an RSA key's id", c.token(t, jwt.SigningMethodES256, "rsa", ecKey, nil), "token_invalid"},
			{"with its signature cut off", good[:strings.LastIndex(good, ".")+1], "token_invalid"},
			{"garbage", "x.y.z", "token_invalid"},
		} {
			if got := shown(t, h, row.token); got != row.want {
				t.Errorf("%s: %s, want %s", row.name, got, row.want)
			}
		}
	})

	t.Run("must be for us where parties and audiences are configured", func(t *testing.T) {
		t.Parallel()
		h, c := setup(t, func(cfg *gateway.Config) {
			cfg.AuthAudience, cfg.AuthAuthorizedParties = []string{"threads", "other"}, []string{"http://localhost:5173"}
		})
		ec := func(aud, azp any) string {
			return c.token(t, jwt.SigningMethodES256, "ec", ecKey, func(m jwt.MapClaims) {
				m["aud"], m["azp"] = aud, azp
			})
		}
		for token, want := range map[string]string{
			ec("threads", "http://localhost:5173"):              "in",
			ec([]string{"x", "other"}, "http://localhost:5173"): "in",
			ec([]string{"x", "other"}, ""):                      "token_invalid", // for whom it was made must be said where somebody asks
			ec("x", "http://localhost:5173"):                    "token_invalid",
			ec(nil, "http://localhost:5173"):                    "token_invalid",
			ec("threads", "http://localhost:5174"):              "token_invalid",
			ec("threads", "http://localhost:5173.evil.test"):    "token_invalid",
		} {
			if got := shown(t, h, token); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	})

	t.Run("of a rotated-in key work at once", func(t *testing.T) {
		t.Parallel()
		h, c := setup(t)
		if got := shown(t, h, c.token(t, jwt.SigningMethodES256, "ec", ecKey, nil)); got != "in" {
			t.Fatal(got)
		}
		c.add("new", stranger)
		c.remove("ec")
		if got := shown(t, h, c.token(t, jwt.SigningMethodES256, "new", stranger, nil)); got != "in" {
			t.Error(got)
		}
		// And what is signed with the withdrawn one no longer does.
		if got := shown(t, h, c.token(t, jwt.SigningMethodES256, "ec", ecKey, nil)); got != "token_invalid" {
			t.Error(got)
		}
	})

	t.Run("are checked with the keys at hand while the issuer talks nonsense", func(t *testing.T) {
		t.Parallel()
		for name, nonsense := range map[string]string{
			"nothing": "", "no JSON": "<html>maintenance</html>", "no keys": `{"keys":[]}`, "keys of no kind": `{"keys":[{"kty":"XX","kid":"ec"},{}]}`,
			"half a key": `{"keys":[{"kty":"EC","kid":"ec","crv":"P-256","x":"AA"}]}`, "a list": `[]`, "cut off": `{"keys":[{"kty":"EC"`,
			"a secret": `{"keys":[{"kty":"oct","kid":"ec","k":"c2hhcmVk"}]}`, "no end": strings.Repeat("[", 2<<20),
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				h, c := setup(t)
				good := c.token(t, jwt.SigningMethodES256, "ec", ecKey, nil)
				if got := shown(t, h, good); got != "in" {
					t.Fatal(got)
				}
				c.instead(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, nonsense) })
				before := c.reads.Load()
				if got := shown(t, h, c.token(t, jwt.SigningMethodES256, "forged", stranger, nil)); got != "token_invalid" {
					t.Error(got)
				}
				if c.reads.Load() == before {
					t.Error("the nonsense was not read")
				}
				if got := shown(t, h, good); got != "in" {
					t.Errorf("a good token is %s", got)
				}
			})
		}
	})

	t.Run("do not wait for an issuer that hangs", func(t *testing.T) {
		t.Parallel()
		h, c := setup(t)
		good := c.token(t, jwt.SigningMethodES256, "ec", ecKey, nil)
		if got := shown(t, h, good); got != "in" {
			t.Fatal(got)
		}
		hang := make(chan struct{})
		t.Cleanup(func() { close(hang) })
		var givenUp atomic.Bool // by the gateway, seconds later
		c.instead(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
				givenUp.Store(true)
			case <-hang:
			}
		})
		if got := shown(t, h, c.token(t, jwt.SigningMethodES256, "forged", stranger, nil)); got != "token_invalid" {
			t.Error(got)
		}
		if got := shown(t, h, good); got != "in" {
			t.Errorf("a good token is %s", got)
		}
		if givenUp.Load() {
			t.Error("they waited until the issuer was given up")
		}
	})

	t.Run("are refused in one way for each reason, whatever is wrong in detail", func(t *testing.T) {
		t.Parallel()
		h, c := setup(t, func(cfg *gateway.Config) { cfg.AuthAuthorizedParties = []string{"http://localhost:5173"} })
		bodies := map[string]string{}
		for _, token := range []string{
			"x.y.z", c.token(t, jwt.SigningMethodES256, "ec", stranger, nil), c.token(t, jwt.SigningMethodES256, "unknown", stranger, nil),
			c.token(t, jwt.SigningMethodES256, "ec", ecKey, func(m jwt.MapClaims) { m["azp"] = "http://other.example" }),
			c.token(t, jwt.SigningMethodES256, "ec", ecKey, func(m jwt.MapClaims) { m["iss"] = "http://other.example" }),
			c.token(t, jwt.SigningMethodES256, "ec", ecKey, func(m jwt.MapClaims) { delete(m, "sub") }),
		} {
			h.token = token
			r := h.do(t, http.MethodGet, "/api/threads/connections", "")
			p := r.problem(t, http.StatusUnauthorized, "unauthorized", "/Authorization")
			if r.header.Get("WWW-Authenticate") != `Bearer error="invalid_token"` {
				t.Errorf("%v", r.header)
			}
			bodies[strings.ReplaceAll(string(r.body), p.RequestID, "")] = token
		}
		if len(bodies) != 1 {
			t.Errorf("%d kinds of answers: %v", len(bodies), bodies)
		}
	})

	t.Run("with made-up key ids do not drive requests to the issuer", func(t *testing.T) {
		t.Parallel()
		h, c := setup(t)
		for range 50 {
			if got := shown(t, h, c.token(t, jwt.SigningMethodES256, rand.Text(), stranger, nil)); got != "token_invalid" {
				t.Fatal(got)
			}
		}
		if n := c.reads.Load(); n > 4 {
			t.Errorf("the keys were read %d times", n)
		}
		if got := shown(t, h, c.token(t, jwt.SigningMethodES256, "ec", ecKey, nil)); got != "in" {
			t.Errorf("a good token is %s", got)
		}
	})

	t.Run("cannot be checked while the issuer is away from the start, and can when it is back", func(t *testing.T) {
		t.Parallel()
		h, c := setup(t)
		c.down.Store(true)
		h.token = c.token(t, jwt.SigningMethodES256, "ec", ecKey, nil)
		h.do(t, http.MethodGet, "/api/threads/connections", "").problem(t, http.StatusServiceUnavailable, "unavailable")
		c.down.Store(false)
		h.do(t, http.MethodGet, "/api/threads/connections", "").is(t, http.StatusOK, nil)
		c.down.Store(true)
		h.do(t, http.MethodGet, "/api/threads/connections", "").is(t, http.StatusOK, nil)
	})

	t.Run("are checked with the keys that discovery, or the configuration, points at", func(t *testing.T) {
		t.Parallel()
		_, c := setup(t)
		discovering := httptest.NewServer(nil)
		t.Cleanup(discovering.Close)
		discovering.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/.well-known/openid-configuration" {
				http.NotFound(w, r)
				return
			}
			if err := json.NewEncoder(w).Encode(map[string]string{"issuer": discovering.URL, "jwks_uri": c.url + "/.well-known/jwks.json"}); err != nil {
				t.Error(err)
			}
		})
		elsewhere := func(m jwt.MapClaims) { m["iss"] = discovering.URL }
		h, _ := setup(t, func(cfg *gateway.Config) { cfg.AuthIssuer = discovering.URL })
		if got := shown(t, h, c.token(t, jwt.SigningMethodES256, "ec", ecKey, elsewhere)); got != "in" {
			t.Errorf("by discovery: %s", got)
		}
		h, _ = setup(t, func(cfg *gateway.Config) {
			cfg.AuthIssuer, cfg.AuthJWKSURL, cfg.AuthNoAudience = "https://issuer.invalid", c.url+"/.well-known/jwks.json", true
		})
		configured := func(m jwt.MapClaims) { m["iss"] = "https://issuer.invalid" }
		if got := shown(t, h, c.token(t, jwt.SigningMethodES256, "ec", ecKey, configured)); got != "in" {
			t.Errorf("by configuration: %s", got)
		}
		h, _ = setup(t, func(cfg *gateway.Config) {
			cfg.AuthIssuer, cfg.AuthJWKSURL, cfg.AuthNoAudience = "https://issuer.invalid", "file://"+c.file(t), true
		})
		if got := shown(t, h, c.token(t, jwt.SigningMethodES256, "ec", ecKey, configured)); got != "in" {
			t.Errorf("from a file: %s", got)
		}
	})
}
