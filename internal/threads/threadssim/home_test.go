package threadssim_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/omni-write/threads/internal/threads/threadssim"
)

// A page that somebody has open in a browser can send requests to this machine, and have its own name lead here.
func TestTheSimulatorsOwnSideIsForThoseAtHome(t *testing.T) {
	t.Parallel()
	sim, err := threadssim.New(threadssim.Options{Hosts: []string{"simulator"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	for _, try := range []struct {
		method, path, host string
		header             http.Header
		may                bool
	}{
		{"GET", "/_sim/posts", "127.0.0.1:9099", nil, true},
		{"GET", "/_sim/posts", "[::1]:9099", nil, true},
		{"GET", "/_sim/posts", "localhost:9099", nil, true},
		{"GET", "/_sim/posts", "Simulator:9099", nil, true},
		{"POST", "/_sim/token", "localhost:9099", http.Header{"Origin": {"http://localhost:9099"}, "Sec-Fetch-Site": {"same-origin"}}, true},
		{"GET", "/_sim/pictures/x", "evil.example", http.Header{"Sec-Fetch-Site": {"cross-site"}}, true},
		{"GET", "/_sim/posts", "evil.example:9099", nil, false},
		{"GET", "/_sim/calls", "localhost.evil.example", nil, false},
		{"GET", "/v1.0/_sim/posts", "evil.example", nil, false},
		{"POST", "/_sim/token", "evil.example", nil, false},
		{"POST", "/_sim/token", "localhost:9099", http.Header{"Origin": {"http://evil.example"}}, false},
		{"POST", "/_sim/token", "localhost:9099", http.Header{"Origin": {"null"}}, false},
		{"POST", "/_sim/token", "localhost:9099", http.Header{"Origin": {"http://localhost:3000"}}, false},
		{"DELETE", "/_sim/faults", "localhost:9099", http.Header{"Sec-Fetch-Site": {"cross-site"}}, false},
	} {
		r := httptest.NewRequest(try.method, try.path, strings.NewReader(`{"username":"somebody"}`))
		r.Host = try.host
		for name, values := range try.header {
			r.Header[name] = values
		}
		w := httptest.NewRecorder()
		sim.ServeHTTP(w, r)
		if refused := w.Code == http.StatusForbidden; refused == try.may {
			t.Errorf("%s %s of %s, %v: %d", try.method, try.path, try.host, try.header, w.Code)
		}
	}
}

// Whoever reaches the simulator chooses what it fetches: nothing that is only reached from here, unless somebody says so.
func TestMediaAreFetchedFromPublicAddresses(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "image/png")
	}))
	t.Cleanup(here.Close)
	w := setup(t, threadssim.Options{FetchMedia: true})
	for _, address := range []string{here.URL + "/a.png", "http://169.254.169.254/a.png", "http://168.63.129.16/a.png", "http://[::ffff:127.0.0.1]/a.png"} {
		refused(t, w.post("/v1.0/me/threads", "media_type", "IMAGE", "image_url", address), 400, "1/2207052")
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
	w = setup(t, threadssim.Options{FetchMedia: true, MediaNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	w.create("media_type", "IMAGE", "image_url", here.URL+"/a.png")
}

func TestPagesHaveAnIcon(t *testing.T) {
	t.Parallel()
	w := setup(t, threadssim.Options{})
	for _, path := range []string{"/", askURL} {
		has(t, w.send(http.MethodGet, path, "", ""), `<link rel="icon" href="/favicon.ico"`)
	}
	if r := w.send(http.MethodGet, "/favicon.ico", "", ""); r.status != http.StatusOK || !strings.Contains(r.raw, "<svg") {
		t.Errorf("%d %s", r.status, r.raw)
	}
}
