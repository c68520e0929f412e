package webhooks

import (
	"fmt"
	"time"
)

// Config is how webhooks are delivered.
type Config struct {
	// FirstRetry is the pause after the first failure; each next one is four times longer, up to LongestRetry, give or take
	// a fifth. Floor 1s: a receiver that restarts must not be hammered.
	FirstRetry time.Duration `env:"WEBHOOKS_FIRST_RETRY" envDefault:"5s"`
	// LongestRetry is the longest pause. Floor 1m.
	LongestRetry time.Duration `env:"WEBHOOKS_LONGEST_RETRY" envDefault:"12h"`
	// GiveUpAfter is how long an event is tried. Floor 1h.
	GiveUpAfter time.Duration `env:"WEBHOOKS_GIVE_UP_AFTER" envDefault:"72h"`
	// DisableAfter is how long nothing at all may get through before a webhook is disabled. Floor 1h.
	DisableAfter time.Duration `env:"WEBHOOKS_DISABLE_AFTER" envDefault:"120h"`
	// Timeout bounds one try, from the name's lookup to the end of the answer. Floor 1s.
	Timeout time.Duration `env:"WEBHOOKS_TIMEOUT" envDefault:"15s"`
	// Overlap is how long an old secret signs beside a new one. Default a day.
	Overlap time.Duration `env:"WEBHOOKS_OVERLAP" envDefault:"24h"`
	// Keep is how long deliveries are kept for the log. Floor 1h.
	Keep time.Duration `env:"WEBHOOKS_KEEP" envDefault:"720h"`
	// LookEvery is how often the table is searched for deliveries that are due. Floor 100ms.
	LookEvery time.Duration `env:"WEBHOOKS_LOOK_EVERY" envDefault:"1s"`
	// AllowLoopback lets webhooks go to this machine, over http too: for development, and never on a server that others
	// may give addresses to. In one process it is true while only this machine reaches the gateway.
	AllowLoopback bool `env:"WEBHOOKS_ALLOW_LOOPBACK"`
}

// Mistakes names the settings that are not valid.
func (c Config) Mistakes() (wrong []error) {
	for _, w := range c.durations() {
		if w.is <= 0 {
			wrong = append(wrong, fmt.Errorf("%s must be more than 0", w.name))
		}
	}
	return wrong
}

// UnderFloor names the waits that are shorter than production should ever have them.
func (c Config) UnderFloor() (names []string) {
	for _, w := range c.durations() {
		if w.is < w.floor {
			names = append(names, w.name)
		}
	}
	return names
}

type bounded struct {
	name      string
	is, floor time.Duration
}

func (c Config) durations() []bounded {
	return []bounded{
		{"WEBHOOKS_FIRST_RETRY", c.FirstRetry, time.Second},
		{"WEBHOOKS_LONGEST_RETRY", c.LongestRetry, time.Minute},
		{"WEBHOOKS_GIVE_UP_AFTER", c.GiveUpAfter, time.Hour},
		{"WEBHOOKS_DISABLE_AFTER", c.DisableAfter, time.Hour},
		{"WEBHOOKS_TIMEOUT", c.Timeout, time.Second},
		{"WEBHOOKS_OVERLAP", c.Overlap, 0},
		{"WEBHOOKS_KEEP", c.Keep, time.Hour},
		{"WEBHOOKS_LOOK_EVERY", c.LookEvery, 100 * time.Millisecond},
	}
}
