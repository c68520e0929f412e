package probe

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/omni-write/threads/internal/dial"
)

// notPublic are names that lead nowhere outside of one's own network.
var notPublic = []string{"localhost", "local", "internal", "intranet", "lan", "home.arpa", "corp", "test", "invalid"}

// Public says whether an address could be one that anybody on the internet reaches, as far as it tells itself: Threads
// could fetch nothing from any other. A name that leads to a private address all the same is found out by a probe. Networks
// in allow count as public.
func Public(address string, allow []netip.Prefix) bool {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return false
	}
	host := dial.Host(u.Hostname())
	if ip, err := netip.ParseAddr(host); err == nil {
		return publicIP(ip, allow)
	}
	last := host[strings.LastIndex(host, ".")+1:]
	if !strings.Contains(host, ".") || strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return host == "localhost" && publicIP(netip.AddrFrom4([4]byte{127, 0, 0, 1}), allow) // a lone word, or an IPv4 address in disguise: 127.1, 0x7f.1
	}
	return !slices.ContainsFunc(notPublic, func(name string) bool { return strings.HasSuffix(host, "."+name) })
}

func publicIP(ip netip.Addr, allow []netip.Prefix) bool {
	ip = ip.Unmap().WithZone("")
	if slices.ContainsFunc(allow, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return true
	}
	network := "tcp4"
	if ip.Is6() {
		network = "tcp6"
	}
	return dial.Public().Safe(network, net.JoinHostPort(ip.String(), "443"), nil) == nil
}
