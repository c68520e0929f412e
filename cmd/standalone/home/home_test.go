package home

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Where a frontend runs, whoever began there comes back there, with all that Threads and the gateway say.
func TestAFrontendThatRuns(t *testing.T) {
	t.Parallel()
	frontend := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(frontend.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for at, leads := range map[string]string{frontend.URL: frontend.URL + "/profile?connectCode=c&x=1", gone.URL: ""} {
		mux := http.NewServeMux()
		nowhere := func() string { return "" }
		Register(mux, Options{
			User: "ada", Gateway: nowhere, Simulator: nowhere, Frontend: func() string { return at + "/profile" },
		}, func(h http.Handler) http.Handler { return h })
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/connected?connectCode=c&x=1", nil))
		if got := w.Header().Get("Location"); got != leads {
			t.Errorf("%s: it leads to %q", at, got)
		}
		if leads == "" && !strings.Contains(w.Body.String(), "Who began?") {
			t.Error(w.Body.String())
		}
	}
}
