package webhooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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
	// maxAnswer is how much of an answer is read; none of it is kept.
	maxAnswer = 64 << 10
	maxURL    = 2048
	// connectWithin bounds each step of getting through to a receiver; the rest of its time is for the answer.
	connectWithin = 5 * time.Second
)

// door says which addresses a webhook may have. Users choose them, so none may lead into our own network.
type door struct {
	public   *ssrf.Guardian // public addresses, the ports of https
	loopback bool
}

func newDoor(allowLoopback bool) door {
	return door{public: ssrf.New(ssrf.WithPorts(443, 8443)), loopback: allowLoopback}
}

// control is a net.Dialer's: it is asked about the very address that is about to be connected to, after the name was
// looked up. A name that leads elsewhere the second time gains nothing.
func (d door) control(network, address string, c syscall.RawConn) error {
	if to, err := netip.ParseAddrPort(address); err == nil && d.loopback && to.Addr().Unmap().IsLoopback() {
		return nil
	}
	return d.public.Safe(network, address, c)
}

// check says in a sentence why an address cannot be a webhook's; empty when it can.
func (d door) check(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Hostname() == "" || len(address) > maxURL {
		return "This is not the address of a web page; give one that begins with https://."
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	ip, err := netip.ParseAddr(host)
	literal := err == nil
	near := host == "localhost" || strings.HasSuffix(host, ".localhost") || literal && ip.Unmap().IsLoopback()
	switch {
	case u.User != nil:
		return "Leave the user name and password out of the address; what we send is signed instead."
	case u.Fragment != "":
		return "Leave out what comes after #; it is never sent."
	case d.loopback && near && (u.Scheme == "http" || u.Scheme == "https"):
		return ""
	case u.Scheme != "https":
		return "A webhook's address begins with https://, so that nobody on the way can read along."
	case near, literal && d.public.SafeAddr(ip.Unmap()) != nil:
		return "This address is not one of the public internet, so we cannot reach it."
	case u.Port() != "" && u.Port() != "443" && u.Port() != "8443":
		return "A webhook's port is 443 or 8443."
	}
	return ""
}

// newClient calls webhooks. It follows no redirect: only the address itself was looked at.
func (d door) newClient(timeout time.Duration) *http.Client {
	dialer := dial.Guarded(min(timeout, connectWithin), d.control)
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

// answer is what a try came to.
type answer struct {
	status     int // 0: nothing was answered
	message    string
	retryAfter string
}

func (a answer) ok() bool { return a.status >= 200 && a.status < 300 }

// post sends a delivery. What it returns is for the owner's eyes: it tells nothing of our network.
func (s *Service) post(ctx context.Context, d *due, secrets []string) (answer, error) {
	at := s.now()
	signature, err := sign(d.EventID, at, d.Payload, secrets...)
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, strings.NewReader(string(d.Payload)))
	if err != nil {
		return answer{message: "The address cannot be called."}, nil
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "omni-write-threads-webhooks/1.0")
	req.Header.Set(headerID, d.EventID)
	req.Header.Set(headerTimestamp, fmt.Sprint(at.Unix()))
	req.Header.Set(headerSignature, signature)
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{message: explain(err)}, nil
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // read, so that the connection can be used again
	a := answer{status: resp.StatusCode, retryAfter: resp.Header.Get("Retry-After")}
	switch {
	case a.ok() && err != nil:
		return answer{status: 0, message: "The answer was cut off."}, nil
	case a.ok():
		a.message = "Delivered."
	case a.status >= 300 && a.status < 400:
		a.message = fmt.Sprintf("It answered %d; redirects are not followed, give the final address.", a.status)
	default:
		a.message = fmt.Sprintf("It answered %d.", a.status)
	}
	return a, nil
}

// explain says in a sentence why nothing was answered.
func explain(err error) string {
	var dns *net.DNSError
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedPort),
		errors.Is(err, ssrf.ErrProhibitedNetwork), errors.Is(err, ssrf.ErrInvalidHostPort):
		return "The name leads to an address that is not one of the public internet."
	case errors.As(err, &dns):
		return "The name was not found."
	case isTimeout(err):
		return "It did not answer in time."
	case strings.Contains(err.Error(), "tls: "), strings.Contains(err.Error(), "x509: "),
		strings.Contains(err.Error(), "HTTP response to HTTPS"):
		return "There was no secure connection; check the certificate."
	}
	return "The connection failed."
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func badURL(sentence string) error {
	return events.Faultf(events.Invalid, "%s", sentence).At("/url", "url_invalid", sentence)
}
