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
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/live"
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

	// AuthIssuer is the `iss` of the bearer tokens, to the letter: Clerk's Frontend API URL, or any OIDC issuer. Required.
	AuthIssuer string `env:"AUTH_ISSUER"`
	// AuthJWKSURL is where the issuer's keys are. Empty means where its discovery document says, or else at
	// /.well-known/jwks.json under the issuer.
	AuthJWKSURL string `env:"AUTH_JWKS_URL"`
	// AuthAudience are the audiences of which a token must name one. Empty means that `aud` is not looked at: Clerk's
	// tokens have none.
	AuthAudience []string `env:"AUTH_AUDIENCE"`
	// AuthAuthorizedParties are the `azp` that are accepted in tokens that have one. Empty means all.
	AuthAuthorizedParties []string `env:"AUTH_AUTHORIZED_PARTIES"`

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
	if c.Wait < 0 || c.Wait > maxWait {
		complain("WAIT is not from 0s to %s", maxWait)
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
		{"AUTH_JWKS_URL", c.AuthJWKSURL, false},
	} {
		switch {
		case address.value == "" && address.required:
			complain("%s is required", address.name)
		case address.value != "" && !isWebAddress(address.value):
			complain("%s is not an http(s) address", address.name)
		}
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

func isWebAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

var errNotAnOrigin = errors.New("an origin is a scheme and a host, with its port where it is not the usual one, " +
	"and nothing after: https://app.example.com")

func checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || !isWebAddress(origin) || strings.Contains(u.Host, "*") || u.User != nil || u.Scheme+"://"+u.Host != origin {
		return errNotAnOrigin
	}
	return nil
}
