package edge

import (
	"net/http"
	"net/url"
	"strings"
	"sync"

	"go.uber.org/zap"
)

// Of a page that CORS turns away only its browser's console tells. Whoever set up the gateway reads our log, so each such origin
// is named there, once.

const (
	// maxRefusedOrigins is how many of them are named: anybody can make up more.
	maxRefusedOrigins = 100
	// maxOrigin is the longest that a browser's origin is: 255 of a host name, with scheme and port.
	maxOrigin = 300
)

// refusedOrigins are those that were named.
type refusedOrigins struct {
	allowed map[string]bool
	log     *zap.Logger

	mu   sync.Mutex
	seen map[string]bool
}

func newRefusedOrigins(allowed []string, log *zap.Logger) *refusedOrigins {
	r := &refusedOrigins{allowed: map[string]bool{}, log: log, seen: map[string]bool{}}
	for _, origin := range allowed {
		r.allowed[strings.ToLower(origin)] = true
	}
	return r
}

// watch names the origins of pages that may not call the API, and calls it in their names no differently.
func (o *refusedOrigins) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origin := r.Header.Get("Origin"); origin != "" && !o.allowed[strings.ToLower(origin)] && fromElsewhere(r, origin) {
			o.name(origin)
		}
		next.ServeHTTP(w, r)
	})
}

// fromElsewhere says whether a page of another origin calls us: one of our own, and a form that leads the browser here, need no
// permission.
func fromElsewhere(r *http.Request, origin string) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site == "same-origin" || site == "none" {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "cors" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || !strings.EqualFold(u.Host, r.Host)
}

func (o *refusedOrigins) name(origin string) {
	origin = origin[:min(len(origin), maxOrigin)]
	o.mu.Lock()
	n := len(o.seen)
	known := o.seen[origin] || n >= maxRefusedOrigins
	if !known {
		o.seen[origin] = true
	}
	o.mu.Unlock()
	switch {
	case known:
	case n+1 == maxRefusedOrigins:
		o.log.Warn("a page of an origin that is not in CORS_ORIGINS was refused, like many others; no more of them are named until the next start", zap.String("origin", origin))
	default:
		o.log.Warn("a page of an origin that is not in CORS_ORIGINS was refused; if it is yours, add it there", zap.String("origin", origin))
	}
}
