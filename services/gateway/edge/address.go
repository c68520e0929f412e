package edge

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// addressOf is where a request comes from: whoever connected, or, when that is a trusted proxy, the last address in
// X-Forwarded-For that is none. Everything to the left of it may be made up by the client. The zero address is one that
// cannot be known; all of these count as one.
func addressOf(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	from := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !isTrusted(from, trusted) {
			return from
		}
		next, ok := parseHop(hop)
		if !ok { // the trusted proxy knows no more, or talks nonsense: it is the last that we know
			return from
		}
		from = next
	}
	return from
}

// parseHop reads an entry of X-Forwarded-For; some proxies add the port.
func parseHop(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return address.Unmap().WithZone(""), err == nil
}

func isTrusted(address netip.Addr, trusted []netip.Prefix) bool {
	return slices.ContainsFunc(trusted, func(network netip.Prefix) bool { return network.Contains(address.WithZone("")) })
}

// clientKey is whom an address is counted with. A line of IPv6 is a /64, whose addresses cost nothing.
func clientKey(address netip.Addr) string {
	if address.Is6() {
		if network, err := address.WithZone("").Prefix(64); err == nil {
			return network.String()
		}
	}
	return address.String()
}
