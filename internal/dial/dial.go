// Package dial opens connections to peers that may fall silent. One that is gone without a word (a host that lost its
// power, a network that is cut) is noticed within seconds, both while we wait for it and while it has yet to take what we
// sent. The operating system's own answer is two hours, or a quarter of one.
package dial

import (
	"net"
	"syscall"
	"time"
)

const (
	// After probeAfter of silence the peer is asked for a sign of life, probes times, probeEvery apart.
	probeAfter = 5 * time.Second
	probeEvery = 2 * time.Second
	probes     = 3
	// Unacknowledged is how long what was sent may stay without the peer's kernel taking it.
	Unacknowledged = 10 * time.Second
)

// Dialer is a dialer that gives a connection so long to come about.
func Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{
		Timeout: timeout, Control: Control,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probes},
	}
}

// Control bounds Unacknowledged. A dialer with a Control of its own calls it as well.
func Control(network, _ string, c syscall.RawConn) (err error) {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil
	}
	if failed := c.Control(func(fd uintptr) { err = boundUnacknowledged(fd) }); failed != nil {
		return failed
	}
	return err
}
