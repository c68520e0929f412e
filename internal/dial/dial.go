// Package dial opens connections to peers that may fall silent. One that is gone without a word (a host that lost its
// power, a network that is cut) is noticed within seconds, both while we wait for it and while it has yet to take what we
// sent. The operating system's own answer is two hours, or a quarter of one.
package dial

import (
	"net"
	"net/http"
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

// HTTP2 is how a connection that carries many requests at once is asked for a sign of life. Without it requests go on being
// put on one that is gone, and all of them wait for their time to be over.
func HTTP2() *http.HTTP2Config {
	return &http.HTTP2Config{SendPingTimeout: probeAfter, PingTimeout: probeEvery * probes}
}

// Guarded is a dialer that asks a guard about the very address that is about to be connected to.
func Guarded(timeout time.Duration, guard func(network, address string, c syscall.RawConn) error) *net.Dialer {
	d := Dialer(timeout)
	d.Control = func(network, address string, c syscall.RawConn) error {
		if err := guard(network, address, c); err != nil {
			return err
		}
		return Control(network, address, c)
	}
	return d
}

// Dialer is a dialer that gives a connection so long to come about.
func Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{
		Timeout: timeout, Control: Control,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probes},
	}
}

// Control is a net.Dialer's, and bounds Unacknowledged.
func Control(network, _ string, c syscall.RawConn) (err error) {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil
	}
	if failed := c.Control(func(fd uintptr) { err = boundUnacknowledged(fd) }); failed != nil {
		return failed
	}
	return err
}
