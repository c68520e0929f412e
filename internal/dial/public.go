package dial

import (
	"net/netip"
	"strings"

	"code.dny.dev/ssrf"
	"golang.org/x/text/unicode/norm"
)

// Public is who may be dialed where the address is a user's to choose: addresses of the public internet, and nobody who is
// only reached from where we run.
func Public(options ...ssrf.Option) *ssrf.Guardian {
	return ssrf.New(append(options, ssrf.WithDeniedV4Prefixes(
		netip.MustParsePrefix("168.63.129.16/32"), // the host of a virtual machine at Azure, an address that looks public
	))...)
}

// Host is the host of an address as it is looked up: browsers and resolvers take the compatible forms of letters, digits and
// dots for the plain ones (UTS #46), so a name is judged by what it becomes.
func Host(name string) string {
	plain := strings.NewReplacer("\u3002", ".").Replace(norm.NFKC.String(name)) // the ideographic full stop is a dot too
	return strings.ToLower(strings.TrimSuffix(plain, "."))
}
