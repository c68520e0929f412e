package publisher

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/services/publisher/delivery"
	"github.com/omni-write/threads/services/publisher/engagement"
	"github.com/omni-write/threads/services/publisher/projector"
	"github.com/omni-write/threads/services/publisher/webhooks"
)

// Config is how the publisher works. Zero values mean the default.
type Config struct {
	delivery.Config

	// PublishWithin is how late a post may still go out when its owner did not say. Afterwards it fails as missed.
	PublishWithin time.Duration `env:"PUBLISHER_PUBLISH_WITHIN" envDefault:"24h"`

	// StuckAfter is how long nothing may move, while posts are due, before a publisher says that it is not ready.
	StuckAfter time.Duration `env:"PUBLISHER_STUCK_AFTER" envDefault:"2m"`

	// MediaNetworks are networks, as CIDRs, whose addresses are taken for media and links although nobody on the internet
	// reaches them, MediaPorts the ports there besides 80 and 443: for simulated media only. Empty: none.
	MediaNetworks []netip.Prefix `env:"PUBLISHER_MEDIA_NETWORKS"`
	MediaPorts    []uint16       `env:"PUBLISHER_MEDIA_PORTS"`

	// FetchesPerMinute and FetchedPerMinute are how many files, and how many bytes of them, a publisher fetches for one user in a
	// minute to look at media before Threads does. 0: no limit. Defaults 120 and 268435456.
	FetchesPerMinute int   `env:"PUBLISHER_FETCHES_PER_MINUTE" envDefault:"120"`
	FetchedPerMinute int64 `env:"PUBLISHER_FETCHED_BYTES_PER_MINUTE" envDefault:"268435456"`
	// QueuedPerAccount is how many posts of an account may wait to go out; one more is refused. 0: no limit. Default 10000.
	QueuedPerAccount int `env:"PUBLISHER_QUEUED_PER_ACCOUNT" envDefault:"10000"`

	// RestoredSince is set by an operator, once, after Postgres was restored from a backup, alone or with EVENTS: the time of
	// that backup. Every post that was due since then is looked for on Threads before anything is published.
	RestoredSince time.Time `env:"PUBLISHER_RESTORED_SINCE"`

	Engagement engagement.Config

	// Webhooks is how events are brought to the webhooks of users.
	Webhooks webhooks.Config
}

// ConfigFromEnv reads the configuration from the environment. It reports everything that is wrong at once.
func ConfigFromEnv(getenv func(string) string) (Config, error) { return process.Env[Config](getenv) }

// Mistakes names what is not valid.
func (c Config) Mistakes() (wrong []error) {
	for name, d := range map[string]time.Duration{"PUBLISHER_STUCK_AFTER": c.StuckAfter, "PUBLISHER_PUBLISH_WITHIN": c.PublishWithin} {
		if d <= 0 {
			wrong = append(wrong, fmt.Errorf("%s must be more than 0", name))
		}
	}
	for name, n := range map[string]int64{
		"PUBLISHER_FETCHES_PER_MINUTE": int64(c.FetchesPerMinute), "PUBLISHER_FETCHED_BYTES_PER_MINUTE": c.FetchedPerMinute,
		"PUBLISHER_QUEUED_PER_ACCOUNT": int64(c.QueuedPerAccount),
	} {
		if n < 0 {
			wrong = append(wrong, fmt.Errorf("%s must be 0, for no limit, or more", name))
		}
	}
	wrong = append(wrong, c.Config.Mistakes()...)
	wrong = append(wrong, c.Engagement.Mistakes()...)
	return append(wrong, c.Webhooks.Mistakes()...)
}

// Projector is what the projector needs of it.
func (c Config) Projector() projector.Config {
	return projector.Config{Timing: c.Timing(), SweepGrace: c.SweepGrace, RestoredSince: c.RestoredSince}
}
