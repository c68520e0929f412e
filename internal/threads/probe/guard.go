package probe

import (
	"net"
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"

	"github.com/omni-write/threads/internal/dial"
)

// guard says which addresses may be dialed. It is asked with the very address that is about to be connected to, after the
// name was looked up: a name that leads elsewhere the second time gains nothing.
type guard struct {
	public *ssrf.Guardian // public addresses, ports 80 and 443
	allow  []netip.Prefix
	ports  []uint16
	any    bool // port
}

func newGuard(c Config) guard {
	return guard{public: dial.Public(), allow: c.Allow, ports: append([]uint16{80, 443}, c.Ports...), any: c.AnyPort}
}

// control is a net.Dialer's.
func (g guard) control(network, address string, c syscall.RawConn) error {
	if to, err := netip.ParseAddrPort(address); err == nil && g.named(to) {
		return nil
	}
	return g.public.Safe(network, address, c)
}

// named says whether the settings name the address: its network and its port. A port opens nothing outside the networks.
func (g guard) named(to netip.AddrPort) bool {
	return (g.any || slices.Contains(g.ports, to.Port())) &&
		slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(to.Addr().Unmap()) })
}

// dialer connects to what the guard lets pass.
func (g guard) dialer(resolver *net.Resolver) *net.Dialer {
	d := dial.Guarded(dialTimeout, g.control)
	d.Resolver = resolver
	return d
}
