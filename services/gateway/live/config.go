package live

import (
	"cmp"
	"fmt"
	"time"
)

// StreamsConfig is how the live streams of a gateway work. Zero values mean the default.
type StreamsConfig struct {
	// LiveHeartbeat is how often a quiet stream gives a sign of life; proxies cut what is silent for a minute. From 1s to
	// 1m. Default 15s.
	LiveHeartbeat time.Duration `env:"LIVE_HEARTBEAT" envDefault:"15s"`
	// LiveWriteWithin is how long a client may take to make room for the next bytes. At least 1s. Default 10s.
	LiveWriteWithin time.Duration `env:"LIVE_WRITE_WITHIN" envDefault:"10s"`
	// LiveBuffer is how many facts wait for a client that is slow to take them; with one more it is disconnected, and
	// resumes from where it was. 0: the default. Default 256.
	LiveBuffer int `env:"LIVE_BUFFER" envDefault:"256"`
	// LiveReplay is the most facts that are sent to a client that comes back; who missed more is told to read anew.
	// 0: the default. Default 10000.
	LiveReplay int `env:"LIVE_REPLAY" envDefault:"10000"`
	// LiveStreamsPerUser and LiveStreams bound the streams that this process keeps open. 0: the default. Defaults 10 and 10000.
	LiveStreamsPerUser int `env:"LIVE_STREAMS_PER_USER" envDefault:"10"`
	LiveStreams        int `env:"LIVE_STREAMS" envDefault:"10000"`
}

// WithDefaults fills in what is not set.
func (c StreamsConfig) WithDefaults() StreamsConfig {
	c.LiveHeartbeat = cmp.Or(c.LiveHeartbeat, 15*time.Second)
	c.LiveWriteWithin = cmp.Or(c.LiveWriteWithin, 10*time.Second)
	c.LiveBuffer = cmp.Or(c.LiveBuffer, 256)
	c.LiveReplay = cmp.Or(c.LiveReplay, 10_000)
	c.LiveStreamsPerUser = cmp.Or(c.LiveStreamsPerUser, 10)
	c.LiveStreams = cmp.Or(c.LiveStreams, 10_000)
	return c
}

// Mistakes names what is wrong with the configuration.
func (c StreamsConfig) Mistakes() (wrong []error) {
	if c.LiveHeartbeat != 0 && (c.LiveHeartbeat < time.Second || c.LiveHeartbeat > time.Minute) {
		wrong = append(wrong, fmt.Errorf("LIVE_HEARTBEAT is not from 1s to 1m"))
	}
	if c.LiveWriteWithin != 0 && c.LiveWriteWithin < time.Second {
		wrong = append(wrong, fmt.Errorf("LIVE_WRITE_WITHIN must be at least 1s"))
	}
	for _, n := range []struct {
		name string
		is   int
	}{
		{"LIVE_BUFFER", c.LiveBuffer}, {"LIVE_REPLAY", c.LiveReplay},
		{"LIVE_STREAMS_PER_USER", c.LiveStreamsPerUser}, {"LIVE_STREAMS", c.LiveStreams},
	} {
		if n.is < 0 {
			wrong = append(wrong, fmt.Errorf("%s must be at least 1", n.name))
		}
	}
	return wrong
}
