package issuer_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"github.com/omni-write/threads/cmd/standalone/issuer"
)

func TestIssuer(t *testing.T) {
	t.Parallel()
	const home = "http://127.0.0.1:9999"

	ask := func(i *issuer.Issuer, method, target string, form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, home+target, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		i.Handler().ServeHTTP(w, r)
		return w
	}
	verify := func(t *testing.T, i *issuer.Issuer, token string) (jwt.RegisteredClaims, error) {
		t.Helper()
		find, err := keyfunc.NewJWKSetJSON(ask(i, http.MethodGet, "/.well-known/jwks.json", nil).Body.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var c jwt.RegisteredClaims
		_, err = jwt.ParseWithClaims(token, &c, find.Keyfunc, jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(home))
		return c, err
	}
	fresh := func(t *testing.T) *issuer.Issuer {
		t.Helper()
		i, err := issuer.New(home)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}

	t.Run("makes tokens that its published key verifies", func(t *testing.T) {
		t.Parallel()
		i := fresh(t)
		token, err := i.Token("ada", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := verify(t, i, token); err != nil || c.Subject != "ada" || time.Until(c.ExpiresAt.Time) > time.Minute {
			t.Errorf("%+v, %v", c, err)
		}
		if _, err := verify(t, fresh(t), token); err == nil {
			t.Error("another issuer's key verifies it too")
		}
	})

	t.Run("keeps its key, and to itself", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "state")
		first, err := issuer.Load(dir, home)
		if err != nil {
			t.Fatal(err)
		}
		token, err := first.Token("ada", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		again, err := issuer.Load(dir, home)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verify(t, again, token); err != nil {
			t.Errorf("after a restart: %v", err)
		}
		files, err := os.ReadDir(dir)
		if err != nil || len(files) != 1 {
			t.Fatalf("%v, %v", files, err)
		}
		if info, err := files[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	})

	t.Run("says what is wrong with a broken key file", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "issuer-key.pem"), []byte("mud"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := issuer.Load(dir, home); err == nil || !strings.Contains(err.Error(), "holds no key") {
			t.Error(err)
		}
	})

	t.Run("gives tokens for the asking, in a query or a form", func(t *testing.T) {
		t.Parallel()
		i := fresh(t)
		for _, w := range []*httptest.ResponseRecorder{
			ask(i, http.MethodGet, "/token?sub=ada", nil), ask(i, http.MethodPost, "/token", url.Values{"sub": {"ada"}}),
		} {
			var g issuer.Grant
			if err := json.NewDecoder(w.Body).Decode(&g); err != nil || g.TokenType != "Bearer" || g.ExpiresIn <= 0 {
				t.Fatalf("%d %+v %v", w.Code, g, err)
			}
			if c, err := verify(t, i, g.AccessToken); err != nil || c.Subject != "ada" {
				t.Errorf("%+v, %v", c, err)
			}
		}
		if w := ask(i, http.MethodGet, "/token", nil); w.Code != http.StatusBadRequest {
			t.Errorf("nobody got %d", w.Code)
		}
	})

	t.Run("says where its key is", func(t *testing.T) {
		t.Parallel()
		var doc map[string]any
		w := ask(fresh(t), http.MethodGet, "/.well-known/openid-configuration", nil)
		if err := json.NewDecoder(w.Body).Decode(&doc); err != nil || doc["issuer"] != home || doc["jwks_uri"] != home+"/.well-known/jwks.json" {
			t.Errorf("%v, %v", doc, err)
		}
	})

	t.Run("has a page to ask on", func(t *testing.T) {
		t.Parallel()
		w := ask(fresh(t), http.MethodGet, "/", nil)
		if page, _ := io.ReadAll(w.Body); w.Code != http.StatusOK || !strings.Contains(string(page), `action="/token"`) {
			t.Errorf("%d %s", w.Code, page)
		}
	})

	t.Run("turns names away that were pointed at this machine", func(t *testing.T) {
		t.Parallel()
		r := httptest.NewRequest(http.MethodGet, "http://rebound.example/token?sub=ada", nil)
		w := httptest.NewRecorder()
		fresh(t).Handler().ServeHTTP(w, r)
		if w.Code != http.StatusForbidden {
			t.Errorf("got %d", w.Code)
		}
	})
}

// A frontend under development asks for tokens from a port of its own; no page of the web may.
func TestPagesThatMayAsk(t *testing.T) {
	t.Parallel()
	i, err := issuer.New("http://127.0.0.1:9999")
	if err != nil {
		t.Fatal(err)
	}
	for origin, may := range map[string]bool{
		"http://localhost:5173": true, "http://127.0.0.1:4000": true, "https://[::1]:8443": true,
		"https://evil.example": false, "http://localhost.evil.example": false, "http://127.0.0.1.evil.example": false, "null": false, "file://localhost": false,
	} {
		for _, method := range []string{http.MethodOptions, http.MethodPost} {
			r := httptest.NewRequest(method, "http://127.0.0.1:9999/token", strings.NewReader("sub=ada"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", origin)
			if method == http.MethodOptions {
				r.Header.Set("Access-Control-Request-Method", http.MethodPost)
				r.Header.Set("Access-Control-Request-Headers", "content-type")
			}
			w := httptest.NewRecorder()
			i.Handler().ServeHTTP(w, r)
			if got := w.Header().Get("Access-Control-Allow-Origin"); (got == origin) != may || got == "*" {
				t.Errorf("%s by %s: %q, %d", origin, method, got, w.Code)
			}
		}
	}
}
