package edge

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// LimitsConfig is how much a gateway takes on from outside. Zero values mean the default, but for the rates, where zero
// means no limit.
type LimitsConfig struct {
	// MaxBody is the most bytes that a request's body may have; an import may have 2 MiB. From 4096 to 786432, for a
	// command travels in one message. Default 262144.
	MaxBody int64 `env:"MAX_BODY_BYTES" envDefault:"262144"`
	// BodyTimeout is how long a body may take to arrive. From 1s to 5m. Default 10s.
	BodyTimeout time.Duration `env:"BODY_TIMEOUT" envDefault:"10s"`
	// MaxInFlight is how many requests are worked on at the same time; with one more the answer is 503. Half of the places
	// are for the signed in alone, and no user or address has more than a sixteenth, or 16, while others need them: then the answer
	// is 429. Live streams have limits of their own; who waits for an outcome needs no place. At least 16. Default 1024.
	MaxInFlight int `env:"MAX_IN_FLIGHT" envDefault:"1024"`
	// MaxBytesInFlight is how many bytes the bodies of all requests in progress may have, of those that wait as well. It is
	// divided as the places are, and charged before a body is read. At least 16777216. Default 67108864.
	MaxBytesInFlight int64 `env:"MAX_BYTES_IN_FLIGHT" envDefault:"67108864"`

	// RateReads and RateWrites are how many requests a user may make a minute, all at once or spread over it: those that
	// only look, and those that change something. RateAnonymous is the same for an address (of IPv6: its /64) and the
	// requests that no user stands behind: sign-ins that were refused, links that people follow, and what is not Meta's, each by
	// itself. Each gateway counts by itself. 0 means no limit, otherwise at least 10. Defaults
	// 3000, 1200 and 600.
	RateReads     int `env:"RATE_LIMIT_READS_PER_MINUTE" envDefault:"3000"`
	RateWrites    int `env:"RATE_LIMIT_WRITES_PER_MINUTE" envDefault:"1200"`
	RateAnonymous int `env:"RATE_LIMIT_ANONYMOUS_PER_MINUTE" envDefault:"600"`
	// TrustedProxies are the networks, as 10.0.0.0/8 or a single address, of the proxies before this gateway: what they say
	// in X-Forwarded-For is believed. Empty means that the header is not looked at, and whoever connects is the client.
	TrustedProxies []string `env:"TRUSTED_PROXIES"`
}

const (
	minBody, maxBody               = 4 << 10, 768 << 10
	minBodyTimeout, maxBodyTimeout = time.Second, 5 * time.Minute
	minInFlight                    = 16
	minBytesInFlight               = 16 << 20
	minRate                        = 10
)

// WithDefaults fills in what is not set.
func (c LimitsConfig) WithDefaults() LimitsConfig {
	c.MaxBody = cmp.Or(c.MaxBody, 256<<10)
	c.BodyTimeout = cmp.Or(c.BodyTimeout, 10*time.Second)
	c.MaxInFlight = cmp.Or(c.MaxInFlight, 1024)
	c.MaxBytesInFlight = cmp.Or(c.MaxBytesInFlight, 64<<20)
	return c
}

// Mistakes names what is wrong with the limits.
func (c LimitsConfig) Mistakes() (wrong []error) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if c.MaxBody != 0 && (c.MaxBody < minBody || c.MaxBody > maxBody) {
		complain("MAX_BODY_BYTES is not from %d to %d", minBody, maxBody)
	}
	if c.BodyTimeout != 0 && (c.BodyTimeout < minBodyTimeout || c.BodyTimeout > maxBodyTimeout) {
		complain("BODY_TIMEOUT is not from %s to %s", minBodyTimeout, maxBodyTimeout)
	}
	if c.MaxInFlight != 0 && c.MaxInFlight < minInFlight {
		complain("MAX_IN_FLIGHT is less than %d", minInFlight)
	}
	if c.MaxBytesInFlight != 0 && c.MaxBytesInFlight < minBytesInFlight {
		complain("MAX_BYTES_IN_FLIGHT is less than %d", minBytesInFlight)
	}
	for _, rate := range []struct {
		name string
		is   int
	}{
		{"RATE_LIMIT_READS_PER_MINUTE", c.RateReads}, {"RATE_LIMIT_WRITES_PER_MINUTE", c.RateWrites},
		{"RATE_LIMIT_ANONYMOUS_PER_MINUTE", c.RateAnonymous},
	} {
		if rate.is != 0 && rate.is < minRate {
			complain("%s is neither 0, for no limit, nor at least %d", rate.name, minRate)
		}
	}
	for _, network := range c.TrustedProxies {
		if _, err := parseNetwork(network); err != nil {
			complain("TRUSTED_PROXIES: a network is written as 10.0.0.0/8, or as a single address")
		}
	}
	return wrong
}

// trusted are the networks of TrustedProxies.
func (c LimitsConfig) trusted() []netip.Prefix {
	var networks []netip.Prefix
	for _, text := range c.TrustedProxies {
		if network, err := parseNetwork(text); err == nil { // Mistakes has told of the others
			networks = append(networks, network)
		}
	}
	return networks
}

func parseNetwork(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if address, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	return network.Masked(), err
}
