package edge

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestRefusedOriginIsNamedOnce(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.WarnLevel)
	for _, allowed := range [][]string{nil, {"https://app.example"}} {
		e := &Edge{Options: Options{CORSOrigins: allowed, Log: zap.New(core)}}
		h := e.cors(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		ask := func(origin string, headers ...string) {
			r := httptest.NewRequest(http.MethodGet, "https://api.example/api/threads/posts", nil)
			r.Header.Set("Origin", origin)
			for i := 0; i < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
		}

		for range 3 {
			ask("http://localhost:5174", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors")
		}
		ask("http://localhost:5175") // of a browser that says no more
		named := logs.TakeAll()
		if len(named) != 2 || named[0].ContextMap()["origin"] != "http://localhost:5174" || named[1].ContextMap()["origin"] != "http://localhost:5175" {
			t.Errorf("with %v it logs %v", allowed, named)
		}

		ask("https://api.example")                                                                     // a page of our own
		ask("null", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate")                     // its form
		ask("https://elsewhere.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate") // a form that leads here
		for _, origin := range allowed {
			ask(origin)
		}
		if named := logs.TakeAll(); len(named) != 0 {
			t.Errorf("with %v it logs %v", allowed, named)
		}

		for i := range 3 * maxRefusedOrigins {
			ask(fmt.Sprintf("https://%d.%s.example", i, strings.Repeat("x", 2*maxOrigin)))
		}
		named = logs.TakeAll()
		if len(named) != maxRefusedOrigins-2 || !strings.Contains(named[len(named)-1].Message, "no more of them") {
			t.Errorf("with %v it logs %d of many", allowed, len(named))
		}
		for _, line := range named {
			if origin, _ := line.ContextMap()["origin"].(string); len(origin) > maxOrigin {
				t.Errorf("%d bytes of an origin are logged", len(origin))
			}
		}
	}
}
