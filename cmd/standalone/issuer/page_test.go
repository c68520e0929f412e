package issuer_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/omni-write/threads/cmd/standalone/issuer"
)

// The page may do what it needs, and nothing that somebody else could put into it.
func TestThePageHasAPolicyAndAnIcon(t *testing.T) {
	t.Parallel()
	i, err := issuer.New("http://127.0.0.1:9999")
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		i.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9999"+path, nil))
		return w
	}
	w := get("/")
	policy, body := w.Header().Get("Content-Security-Policy"), w.Body.String()
	sum := sha256.Sum256([]byte(regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(body)[1]))
	if !strings.HasPrefix(policy, "default-src 'none';") || !strings.Contains(policy, base64.StdEncoding.EncodeToString(sum[:])) || strings.Contains(policy, "unsafe") {
		t.Errorf("policy: %s", policy)
	}
	if strings.Contains(body, "<script") || strings.Contains(body, " style=") {
		t.Error("the page holds what its policy forbids")
	}
	icon := regexp.MustCompile(`rel="icon" href="([^"]*)"`).FindStringSubmatch(body)
	if icon == nil {
		t.Fatal("no icon")
	}
	for _, path := range []string{icon[1], "/favicon.ico"} {
		if w := get(path); w.Code != http.StatusOK || w.Header().Get("Content-Type") != "image/svg+xml" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
}
