package standalone

import (
	"net/netip"
	"net/url"
	"strings"
)

// onThisMachine says whether a name or an address is one of this machine's loopback; empty is the default, which is.
func onThisMachine(host string) bool {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "" || strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// isPrivate says whether only people of this machine reach the gateway: it listens on loopback, and no address of it that the
// settings name is anybody else's way in, by a proxy or a tunnel.
func (sys *System) isPrivate() bool {
	for _, name := range []string{"PUBLIC_URL", "THREADS_REDIRECT_URI"} {
		u, err := url.Parse(sys.getenv(name))
		if err != nil || !onThisMachine(u.Hostname()) {
			return false
		}
	}
	return onThisMachine(sys.getenv("HOST"))
}
