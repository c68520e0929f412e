package auth

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/threads"
)

// Config is how auth works.
type Config struct {
	// AppID and AppSecret are the *Threads* app's pair, not the Facebook app's. Required.
	AppID     string        `env:"THREADS_APP_ID"`
	AppSecret threads.Token `env:"THREADS_APP_SECRET"`

	// RedirectURI is where Threads sends the browser back to: the gateway's /api/auth/threads/callback, byte for byte
	// as it is registered with the app. Required.
	RedirectURI string `env:"THREADS_REDIRECT_URI"`
	// Scopes is what people are asked to allow. `threads_basic` must be among them; what needs a scope that is not
	// asked for is refused when it is accepted.
	Scopes []string `env:"THREADS_DEFAULT_SCOPES" envDefault:"threads_basic,threads_content_publish,threads_read_replies,threads_manage_replies,threads_manage_insights,threads_delete"`

	// APIURL and AuthorizeURL are Threads' own when empty; the simulator's otherwise.
	APIURL       string `env:"THREADS_API_URL"`
	AuthorizeURL string `env:"THREADS_AUTHORIZE_URL"`

	// WebhookVerifyToken is what Meta must say when it asks whether the callback address is ours: a word of your own, the
	// same as in the app's dashboard. Empty means that no subscription is confirmed.
	WebhookVerifyToken threads.Token `env:"THREADS_WEBHOOK_VERIFY_TOKEN"`
	// WebhookSecret is a second secret that webhooks may be signed with: the Meta app's, where it is not the Threads app's
	// that Meta uses. Optional.
	WebhookSecret threads.Token `env:"THREADS_WEBHOOK_SECRET"`

	// EmitMissingEvery is how often changes of accounts are looked for that a crash left out of EVENTS. Default 1 min.
	EmitMissingEvery time.Duration `env:"AUTH_RETELL_EVERY" envDefault:"1m"`

	// EraseEvery is how often it is looked what is to be erased.
	EraseEvery time.Duration `env:"AUTH_ERASE_EVERY" envDefault:"5s"`
	// EraseAgainAfter is how long after an erasure everything is erased once more, before it is confirmed: longer than any
	// call to Threads that may be under way, with whatever its answer leads to. Floor 150s.
	EraseAgainAfter time.Duration `env:"AUTH_ERASE_AGAIN_AFTER" envDefault:"5m"`
	// EraseWatchEvery is how often it is then looked, for a week, whether anything came back.
	EraseWatchEvery time.Duration `env:"AUTH_ERASE_WATCH_EVERY" envDefault:"1h"`
}

// ConfigFromEnv reads the configuration from the environment. It reports everything that is wrong at once.
func ConfigFromEnv(getenv func(string) string) (Config, error) { return process.Env[Config](getenv) }

// Mistakes names what is wrong with the configuration.
func (c Config) Mistakes() []error {
	var wrong []error
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	switch {
	case c.AppID == "":
		complain("THREADS_APP_ID is required: the id of the Threads app")
	case strings.Trim(c.AppID, "0123456789") != "":
		complain("THREADS_APP_ID is not a number: take the id of the Threads app from its dashboard")
	}
	if c.AppSecret == "" {
		complain("THREADS_APP_SECRET or THREADS_APP_SECRET_FILE is required: the secret of the Threads app")
	}
	if c.RedirectURI == "" {
		complain("THREADS_REDIRECT_URI is required: https://<backend>/api/auth/threads/callback")
	}
	for name, value := range map[string]string{
		"THREADS_REDIRECT_URI": c.RedirectURI, "THREADS_API_URL": c.APIURL, "THREADS_AUTHORIZE_URL": c.AuthorizeURL,
	} {
		if value != "" && !isWebAddress(value) {
			complain("%s is not an http(s) address", name)
		}
	}
	if !slices.Contains(c.scopes(), threads.ScopeBasic) {
		complain("THREADS_DEFAULT_SCOPES must contain %s: Threads allows nothing without it", threads.ScopeBasic)
	}
	for name, d := range map[string]time.Duration{
		"AUTH_RETELL_EVERY": c.EmitMissingEvery, "AUTH_ERASE_EVERY": c.EraseEvery, "AUTH_ERASE_AGAIN_AFTER": c.EraseAgainAfter,
		"AUTH_ERASE_WATCH_EVERY": c.EraseWatchEvery,
	} {
		if d <= 0 {
			complain("%s must be more than 0", name)
		}
	}
	return wrong
}

// scopes is Scopes, without the spaces that people write after commas.
func (c Config) scopes() []string {
	trimmed := make([]string, len(c.Scopes))
	for i, scope := range c.Scopes {
		trimmed[i] = strings.TrimSpace(scope)
	}
	return trimmed
}

func isWebAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// Threads is the configuration of the client that auth needs.
func (c Config) Threads() threads.Config {
	return threads.Config{
		BaseURL: c.APIURL, AuthorizeURL: c.AuthorizeURL, AppID: c.AppID, AppSecret: c.AppSecret.Reveal(),
	}
}

// String is the configuration with its secret blanked.
func (c Config) String() string {
	return fmt.Sprintf("app_id=%s app_secret=%s redirect_uri=%s scopes=%s api_url=%s authorize_url=%s retell_every=%s",
		c.AppID, c.AppSecret, c.RedirectURI, strings.Join(c.scopes(), ","), c.APIURL, c.AuthorizeURL, c.EmitMissingEvery)
}
