package issuer

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/rs/cors"
)

// forPagesAtHome lets pages of this machine ask for tokens: a frontend under development runs on a port of its own. A page of the
// web must not, so it is no wildcard: whoever opens one while this runs would hand it their token.
func forPagesAtHome(next http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowOriginFunc: isAtHome,
		AllowedMethods:  []string{http.MethodGet, http.MethodPost},
		AllowedHeaders:  []string{"Authorization", "Content-Type"},
	}).Handler(next)
}

// isAtHome says whether an origin is of this machine.
func isAtHome(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return strings.EqualFold(u.Hostname(), "localhost") || ip != nil && ip.IsLoopback()
}
