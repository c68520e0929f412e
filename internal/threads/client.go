package threads

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/dial"
)

// Config is the manual of a Client. The zero value of each field but the app's pair has a sensible meaning.
type Config struct {
	// BaseURL is where API and token calls go. Default https://graph.threads.net; graph.threads.com is as good.
	BaseURL string
	// AuthorizeURL is the page a person's browser is sent to. Default https://threads.net/oauth/authorize.
	AuthorizeURL string
	// AppID and AppSecret are the *Threads* app's pair, not the Meta app's. Only the token calls need them.
	AppID     string
	AppSecret string
	// HTTP replaces the transport; its Timeout and CheckRedirect are ignored. It must not retry on its own, and it must
	// not record URLs: three of Meta's endpoints take the secret in the query. Default: a transport of the client's own.
	HTTP *http.Client
	// Wrap, when set, goes around the transport: a breaker, a meter. It must not retry either.
	Wrap func(http.RoundTripper) http.RoundTripper
	// Timeout of every call but those below. Default 30 s.
	Timeout time.Duration
	// PublishTimeout of the calls that make something live: Publish, Repost. Default 120 s: a publish was once
	// seen to take 222 s, and giving up early turns a success into a question.
	PublishTimeout time.Duration
	// Now is the clock for Retry-After dates. Default time.Now.
	Now func() time.Time
}

// String leaves the secret out, so that a printed config is harmless.
func (c Config) String() string {
	return fmt.Sprintf("threads.Config{BaseURL: %q, AuthorizeURL: %q, AppID: %q, AppSecret: %s}",
		c.BaseURL, c.AuthorizeURL, c.AppID, redacted)
}

// GoString is what %#v shows.
func (c Config) GoString() string { return c.String() }

// Client talks to the Threads API. It keeps no state besides its connections and is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
}

// DefaultBaseURL is Threads itself.
const DefaultBaseURL = "https://graph.threads.net"

// New builds a client. It does no I/O; a wrong BaseURL shows at the first call.
func New(cfg Config) *Client {
	if cfg.BaseURL == "" {
		cfg.BaseURL = DefaultBaseURL
	}
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	if cfg.AuthorizeURL == "" {
		cfg.AuthorizeURL = "https://threads.net/oauth/authorize"
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.PublishTimeout <= 0 {
		cfg.PublishTimeout = 120 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}

	hc := &http.Client{Transport: newTransport()}
	if cfg.HTTP != nil {
		clone := *cfg.HTTP
		hc = &clone
	}
	if cfg.Wrap != nil {
		if hc.Transport == nil {
			hc.Transport = http.DefaultTransport
		}
		hc.Transport = cfg.Wrap(hc.Transport)
	}
	// Deadlines are per call (publish waits longer than the rest), so the client-wide one must not cut in.
	hc.Timeout = 0
	// Threads does not redirect API calls. Following one would carry the token elsewhere, or repeat a POST.
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{cfg: cfg, http: hc}
}

// newTransport is plain HTTP/1.1 with many idle connections. HTTP/2 is left off on purpose: it would put every publish
// of this process on one connection, and one cut would leave all of them unanswered instead of one.
func newTransport() *http.Transport {
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dial.Dialer(5 * time.Second).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		Protocols:           &http1,
		MaxIdleConns:        512,
		MaxIdleConnsPerHost: 256,
		// Shorter than a server's usual keep-alive, so that we are the side that closes: a server closing while we write
		// leaves a publish unanswered.
		IdleConnTimeout: 50 * time.Second,
	}
}
