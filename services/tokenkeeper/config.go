package tokenkeeper

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/threads"
)

// Config is how the tokenkeeper works. It needs no app secret: a token is refreshed with itself.
type Config struct {
	// APIURL is Threads' own when empty; the simulator's otherwise.
	APIURL string `env:"THREADS_API_URL"`

	// Lease is how long an account is one refresher's. At least 1m: it must outlast the call, or two would call.
	Lease time.Duration `env:"TOKENKEEPER_LEASE" envDefault:"2m"`
	// BackoffMin is the pause after the first refresh that failed without an answer; it doubles up to BackoffMax.
	BackoffMin time.Duration `env:"TOKENKEEPER_BACKOFF_MIN" envDefault:"1m"`
	BackoffMax time.Duration `env:"TOKENKEEPER_BACKOFF_MAX" envDefault:"6h"`
	// Horizon is how far ahead the sweep sets alarms anew, in case their stream was lost. A little more than the day
	// between two sweeps.
	Horizon time.Duration `env:"TOKENKEEPER_HORIZON" envDefault:"25h"`
	// Reseal is how often what is sealed with an old key of the keyset is looked for, and sealed anew with the primary one. At
	// least 1s.
	Reseal time.Duration `env:"TOKENKEEPER_RESEAL" envDefault:"1m"`
}

// ConfigFromEnv reads the configuration from the environment. It reports everything that is wrong at once.
func ConfigFromEnv(getenv func(string) string) (Config, error) { return process.Env[Config](getenv) }

// Mistakes names what is wrong with the configuration.
func (c Config) Mistakes() (wrong []error) {
	if u, err := url.Parse(c.APIURL); c.APIURL != "" && (err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http")) {
		wrong = append(wrong, errors.New("THREADS_API_URL is not an http(s) address"))
	}
	if c.Lease < time.Minute {
		wrong = append(wrong, fmt.Errorf("TOKENKEEPER_LEASE is %s; it must be at least 1m, longer than a call to Threads", c.Lease))
	}
	if c.BackoffMin <= 0 || c.BackoffMax < c.BackoffMin {
		wrong = append(wrong, errors.New("TOKENKEEPER_BACKOFF_MIN must be more than 0 and at most TOKENKEEPER_BACKOFF_MAX"))
	}
	if c.Horizon <= 0 {
		wrong = append(wrong, errors.New("TOKENKEEPER_HORIZON must be more than 0"))
	}
	if c.Reseal < time.Second {
		wrong = append(wrong, errors.New("TOKENKEEPER_RESEAL must be at least 1s"))
	}
	return wrong
}

// Threads is the configuration of the client that tokenkeeper needs.
func (c Config) Threads() threads.Config { return threads.Config{BaseURL: c.APIURL} }
