package issuer_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/omni-write/threads/cmd/standalone/issuer"
)

// The code flow signs in whoever comes, and gives what it gives to the client that asked for it, on this machine, once.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	i, err := issuer.New("http://127.0.0.1:9999")
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, path string, form url.Values) *httptest.ResponseRecorder {
		body, target := form.Encode(), "http://127.0.0.1:9999"+path
		if method == http.MethodGet {
			target, body = target+"?"+body, ""
		}
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		i.Handler().ServeHTTP(w, r)
		return w
	}
	const verifier, home = "a-verifier-that-only-the-client-knows-0123456789", "http://localhost:3000/console/callback"
	sum := sha256.Sum256([]byte(verifier))
	ask := func(change ...string) url.Values {
		form := url.Values{
			"client_id": {issuer.Client}, "response_type": {"code"}, "redirect_uri": {home}, "state": {"s"}, "nonce": {"n"},
			"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "sub": {"ada"},
		}
		for k := 0; k+1 < len(change); k += 2 {
			form.Set(change[k], change[k+1])
		}
		return form
	}
	w := send(http.MethodGet, "/authorize", ask())
	policy := w.Header().Get("Content-Security-Policy")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Continue as demo") || !strings.Contains(policy, "form-action 'self' http://localhost:3000;") {
		t.Errorf("%d %s", w.Code, policy)
	}
	for _, wrong := range [][]string{
		{"redirect_uri", "https://evil.example/"}, {"redirect_uri", "http://evil.example/"}, {"redirect_uri", "http://localhost.evil.example/"}, {"redirect_uri", "http://localhost@evil.example/"},
		{"redirect_uri", "javascript:alert(1)"}, {"redirect_uri", ""}, {"client_id", "other"}, {"code_challenge", ""}, {"code_challenge_method", "plain"}, {"response_type", "token"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if w := send(method, "/authorize", ask(wrong...)); w.Code != http.StatusBadRequest {
				t.Errorf("%s %v: %d", method, wrong, w.Code)
			}
		}
	}
	code := func() string {
		w := send(http.MethodPost, "/authorize", ask())
		to, err := url.Parse(w.Header().Get("Location"))
		if err != nil || w.Code != http.StatusSeeOther || to.Host != "localhost:3000" || to.Query().Get("state") != "s" {
			t.Fatalf("%d %v", w.Code, w.Header())
		}
		return to.Query().Get("code")
	}
	exchange := func(code string, change ...string) *httptest.ResponseRecorder {
		form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {home}, "client_id": {issuer.Client}, "code_verifier": {verifier}}
		for k := 0; k+1 < len(change); k += 2 {
			form.Set(change[k], change[k+1])
		}
		return send(http.MethodPost, "/token", form)
	}
	for _, wrong := range [][]string{{"code_verifier", "another"}, {"redirect_uri", "http://localhost:3001/"}, {"client_id", "other"}, {"code", "made-up"}} {
		if w := exchange(code(), wrong...); w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(), "access_token") {
			t.Errorf("%v: %d %s", wrong, w.Code, w.Body)
		}
	}
	good := code()
	var got struct {
		Access string `json:"access_token"`
		ID     string `json:"id_token"`
	}
	if err := json.NewDecoder(exchange(good).Body).Decode(&got); err != nil || got.Access == "" {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(got.ID, claims); err != nil || claims["nonce"] != "n" || claims["aud"] != issuer.Client || claims["sub"] != "ada" {
		t.Errorf("%v %v", claims, err)
	}
	if w := exchange(good); w.Code != http.StatusBadRequest {
		t.Errorf("the same code again: %d", w.Code)
	}
}
