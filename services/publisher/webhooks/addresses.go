package webhooks

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/dial"
)

const (
	maxURL = 2048
	// connectWithin bounds each step of getting through to a receiver; the rest of its time is for the answer.
	connectWithin = 5 * time.Second
)

// addressRules say which addresses a webhook may have. Users choose them, so none may lead into our own network.
type addressRules struct {
	public   *ssrf.Guardian // public addresses, the ports of https
	loopback bool
}

func newAddressRules(allowLoopback bool) addressRules {
	return addressRules{public: dial.Public(ssrf.WithPorts(443, 8443)), loopback: allowLoopback}
}

// control is a net.Dialer's. It checks the very address that is about to be connected to, after the name was looked up, so
// a name that resolves to something else the second time passes no check.
func (r addressRules) control(network, address string, c syscall.RawConn) error {
	if to, err := netip.ParseAddrPort(address); err == nil && r.loopback && to.Addr().Unmap().IsLoopback() {
		return nil
	}
	return r.public.Safe(network, address, c)
}

// check says in a sentence why an address cannot be a webhook's; empty when it can.
func (r addressRules) check(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Hostname() == "" || len(address) > maxURL {
		return "This is not the address of a web page; give one that begins with https://."
	}
	host := dial.Host(u.Hostname())
	ip, err := netip.ParseAddr(host)
	isIP := err == nil
	local := host == "localhost" || strings.HasSuffix(host, ".localhost") || isIP && ip.Unmap().IsLoopback()
	switch {
	case u.User != nil:
		return "Leave the user name and password out of the address; what we send is signed instead."
	case u.Fragment != "":
		return "Leave out what comes after #; it is never sent."
	case r.loopback && local && (u.Scheme == "http" || u.Scheme == "https"):
		return ""
	case u.Scheme != "https":
		return "A webhook's address begins with https://, so that nobody on the way can read along."
	case local, isIP && r.public.SafeAddr(ip.Unmap()) != nil:
		return "This address is not one of the public internet, so we cannot reach it."
	case u.Port() != "" && u.Port() != "443" && u.Port() != "8443":
		return "A webhook's port is 443 or 8443."
	}
	return ""
}

// newClient makes the client that calls webhooks. It follows no redirect: only the address itself was checked.
func (r addressRules) newClient(timeout time.Duration) *http.Client {
	dialer := dial.Guarded(min(timeout, connectWithin), r.control)
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext, TLSHandshakeTimeout: min(timeout, connectWithin), ForceAttemptHTTP2: true, HTTP2: dial.HTTP2(),
			MaxIdleConns: 100, MaxIdleConnsPerHost: perWebhook, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
			DisableCompression: true, // a small answer could unpack to a large one
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func badURL(sentence string) error {
	return events.Faultf(events.Invalid, "%s", sentence).At("/url", "url_invalid", sentence)
}
