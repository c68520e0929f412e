package threadssim

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/omni-write/threads/internal/dial"
)

// ownSide is everything under /_sim/, and hosts are the names it may be called by besides addresses and localhost.
type ownSide struct{ hosts []string }

// guard lets to the simulator's own side only who calls it by a name of this machine (a stranger's name can be made to lead
// here), and no page of another origin. Pictures are for pages of any origin.
func (o ownSide) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/_sim") || strings.HasPrefix(r.URL.Path, "/_sim/pictures/") {
			next.ServeHTTP(w, r)
			return
		}
		if !o.named(r.Host) {
			refuseStranger(w, "The simulator's own side is called by an address or as localhost; name other hosts with --hosts.")
			return
		}
		if from := r.Header.Get("Origin"); from != "" && from != "http://"+r.Host && from != "https://"+r.Host {
			refuseStranger(w, "The simulator's own side answers no page of another origin.")
			return
		}
		if where := r.Header.Get("Sec-Fetch-Site"); r.Method != http.MethodGet && r.Method != http.MethodHead && (where == "cross-site" || where == "same-site") {
			refuseStranger(w, "The simulator's own side answers no page of another origin.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (o ownSide) named(host string) bool {
	name := host
	if bare, _, err := net.SplitHostPort(host); err == nil {
		name = bare
	}
	name = dial.Host(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	_, err := netip.ParseAddr(name)
	return err == nil || name == "localhost" || strings.HasSuffix(name, ".localhost") ||
		slices.ContainsFunc(o.hosts, func(own string) bool { return strings.EqualFold(own, name) })
}

func refuseStranger(w http.ResponseWriter, why string) { http.Error(w, why, http.StatusForbidden) }
