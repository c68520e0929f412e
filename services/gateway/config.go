package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/services/gateway/command"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/live"
	"github.com/omni-write/threads/services/gateway/signin"
	"github.com/omni-write/threads/services/gateway/weburl"
)

// Config is how a gateway works. It holds no secret.
type Config struct {
	// Host and Port are where the API listens. Empty means every address of the machine. From 0 to 65535.
	Host string `env:"HOST"`
	Port int    `env:"PORT" envDefault:"3000"`

	// PublicURL is the base under which browsers reach this gateway, as https://api.example.com. Empty means the origin
	// of RedirectURI. When it is https, cookies are Secure.
	PublicURL string `env:"PUBLIC_URL"`
	// RedirectURI is where Threads sends the browser back to: this gateway's /api/auth/threads/callback. auth uses it, the
	// gateway only learns its own address from it. Required where PublicURL is not set.
	RedirectURI string `env:"THREADS_REDIRECT_URI"`
	// SuccessRedirectURI and FailureRedirectURI are where the browser ends after connecting an account, or after failing
	// to. Both may carry a query; ours is merged into it. Required.
	SuccessRedirectURI string `env:"THREADS_SUCCESS_REDIRECT_URI"`
	FailureRedirectURI string `env:"THREADS_FAILURE_REDIRECT_URI"`

	// CORSOrigins are the origins whose pages may call the API, exactly as browsers name them: scheme, host, and the
	// port where it is not the usual one. Patterns are refused. Empty means none.
	CORSOrigins []string `env:"CORS_ORIGINS"`
	// CORSHeaders are headers that those pages may send besides the ones of the API and of tracing (traceparent, tracestate,
	// baggage, sentry-trace). Empty means none.
	CORSHeaders []string `env:"CORS_HEADERS"`

	// AuthIssuer is the `iss` of the bearer tokens, to the letter: Clerk's Frontend API URL, or any OIDC issuer, over https
	// unless it is on this machine. Required.
	AuthIssuer string `env:"AUTH_ISSUER"`
	// AuthJWKSURL is where the issuer's keys are, over https unless that is on this machine, or in a file (file:///…), which is
	// read anew as often. Empty means where its discovery document says, or else at /.well-known/jwks.json under the issuer.
	AuthJWKSURL string `env:"AUTH_JWKS_URL"`
	// AuthAudience are the audiences of which a token must name one. Empty means that a token must have no `aud`, as
	// Clerk's session tokens; required for an issuer that is not known to leave it out.
	AuthAudience []string `env:"AUTH_AUDIENCE"`
	// AuthNoAudience says that the issuer leaves `aud` out of the tokens that are meant for this API. Clerk, and an issuer on
	// this machine, are known to.
	AuthNoAudience bool `env:"AUTH_NO_AUDIENCE"`
	// AuthAuthorizedParties are the `azp` (or `client_id`) of which a token must name one, and no other: the origins of
	// your frontends at Clerk, the ids of your clients elsewhere. Empty means all.
	AuthAuthorizedParties []string `env:"AUTH_AUTHORIZED_PARTIES"`

	// AuthOperatorClaim is what the token of somebody who runs the system says of them, as role=operator: a claim of the token and the
	// value that it has, or holds among others. A claim within another is named with dots: realm_access.roles=operator. They see how the
	// whole system does, and of nobody's posts a word. It must be a claim that people cannot give themselves. Empty means nobody.
	AuthOperatorClaim string `env:"AUTH_OPERATOR_CLAIM"`

	// ConsoleClientID is the client as which the console, the web pages at /console, signs people in at AUTH_ISSUER: a public
	// client with PKCE whose redirect URI is /console/callback below PUBLIC_URL. Empty means that there are no pages.
	ConsoleClientID string `env:"CONSOLE_CLIENT_ID"`
	// ConsoleScopes are what the console asks the issuer for.
	ConsoleScopes []string `env:"CONSOLE_SCOPES" envDefault:"openid,profile,email"`

	// Wait is how long a request waits for the outcome of its command before it is answered with 202, unless it says
	// `Prefer: wait=<seconds>` itself. From 0s to 30s. Default 10s.
	Wait time.Duration `env:"WAIT" envDefault:"10s"`

	edge.LimitsConfig
	live.StreamsConfig
}

// ConfigFromEnv reads the configuration from the environment. It reports everything that is wrong at once.
func ConfigFromEnv(getenv func(string) string) (Config, error) { return process.Env[Config](getenv) }

// Mistakes names what is wrong with the configuration.
func (c Config) Mistakes() []error {
	var wrong []error
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }

	if c.Port < 0 || c.Port > 65535 {
		complain("PORT is not from 0 to 65535")
	}
	if c.Wait < 0 || c.Wait > command.MaxWait {
		complain("WAIT is not from 0s to %s", command.MaxWait)
	}
	if c.PublicURL == "" && c.RedirectURI == "" {
		complain("PUBLIC_URL or THREADS_REDIRECT_URI is required: browsers are sent there to connect an account")
	}
	for _, address := range []struct {
		name, value string
		required    bool
	}{
		{"PUBLIC_URL", c.PublicURL, false},
		{"THREADS_REDIRECT_URI", c.RedirectURI, false},
		{"THREADS_SUCCESS_REDIRECT_URI", c.SuccessRedirectURI, true},
		{"THREADS_FAILURE_REDIRECT_URI", c.FailureRedirectURI, true},
		{"AUTH_ISSUER", c.AuthIssuer, true},
	} {
		switch {
		case address.value == "" && address.required:
			complain("%s is required", address.name)
		case address.value != "" && !weburl.IsWeb(address.value):
			complain("%s is not an http(s) address", address.name)
		}
	}
	if c.AuthJWKSURL != "" && !weburl.IsWeb(c.AuthJWKSURL) && !weburl.IsFile(c.AuthJWKSURL) {
		complain("AUTH_JWKS_URL is neither an http(s) address nor one of a file, file:///…")
	}
	for name, value := range map[string]string{"AUTH_ISSUER": c.AuthIssuer, "AUTH_JWKS_URL": c.AuthJWKSURL} {
		if weburl.IsWeb(value) && !weburl.PrivateToRead(value) {
			complain("%s is an http address: anybody on the way could put their own keys in; use https (http is for this machine only)", name)
		}
	}
	if weburl.IsWeb(c.AuthIssuer) && len(weburl.Trimmed(c.AuthAudience)) == 0 && !c.AuthNoAudience && !leavesAudienceOut(c.AuthIssuer) {
		complain("AUTH_AUDIENCE is required for this issuer: without it every token that it signs for any other API would be good here. " +
			"Set it to the `aud` of your tokens; or, if they have none, AUTH_NO_AUDIENCE=true")
	}
	if _, err := signin.ReadOperatorClaim(c.AuthOperatorClaim); err != nil {
		complain("AUTH_OPERATOR_CLAIM: %w", err)
	}
	wrong = append(wrong, c.LimitsConfig.Mistakes()...)
	wrong = append(wrong, c.StreamsConfig.Mistakes()...)
	for _, origin := range c.CORSOrigins {
		if err := checkOrigin(strings.TrimSpace(origin)); err != nil {
			complain("CORS_ORIGINS: %w", err)
		}
	}
	return wrong
}

func (c Config) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// publicBase is the address under which browsers reach this gateway, without a slash at its end.
func (c Config) publicBase() *url.URL {
	if c.PublicURL != "" {
		if u, err := url.Parse(c.PublicURL); err == nil {
			return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")}
		}
	}
	u, err := url.Parse(c.RedirectURI)
	if err != nil {
		return &url.URL{}
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}
}

// leavesAudienceOut says whether an issuer is known to make tokens for sessions without an audience: Clerk, by the address of
// its Frontend API in development and on one's own domain, and whatever runs on this machine.
func leavesAudienceOut(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	return weburl.Loopback(u) || strings.HasPrefix(host, "clerk.") || strings.HasSuffix(host, ".clerk.accounts.dev")
}

var errNotAnOrigin = errors.New("an origin is a scheme and a host, with its port where it is not the usual one, " +
	"and nothing after: https://app.example.com")

func checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || !weburl.IsWeb(origin) || strings.Contains(u.Host, "*") || u.User != nil || u.Scheme+"://"+u.Host != origin {
		return errNotAnOrigin
	}
	return nil
}
