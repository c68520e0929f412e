package bus

import (
	"bufio"
	"context"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/dial"
)

// preferredServer is the server, of several, that a process prefers. Each process draws its own, so that all of them together
// are spread over the servers. When its preferred one fails, a process goes to another; when that has been well for a while, it
// goes back. Otherwise all processes would sit on the servers that never failed, and the next failure would meet all of them.
type preferredServer struct {
	address string      // host:port; empty: there is only one server
	back    atomic.Bool // the next reconnect goes to the preferred server
}

const (
	// preferredCheckEvery is how often a process that is elsewhere looks at its preferred server, and
	// preferredChecks how often in a row that must be well.
	preferredCheckEvery = 15 * time.Second
	preferredChecks     = 3
	// quietLooks and quietEvery are how long a moment is waited for in which no question is on its way.
	quietLooks = 1000
	quietEvery = 5 * time.Millisecond
)

// choose is a nats.ReconnectToServerHandler. All but the return is left to the library.
func (h *preferredServer) choose(servers []nats.Server, _ nats.ServerInfo) (*nats.Server, time.Duration) {
	if h.back.Swap(false) {
		for i := range servers {
			if servers[i].URL.Host == h.address {
				return &servers[i], 0
			}
		}
	}
	return nil, 0
}

// draw chooses among the servers that the settings name.
func (h *preferredServer) draw(nc *nats.Conn) {
	var named []string
	found := nc.DiscoveredServers()
	for _, server := range nc.Servers() {
		if !slices.Contains(found, server) {
			named = append(named, hostOf(server))
		}
	}
	if len(named) > 1 {
		h.address = named[rand.N(len(named))] //nolint:gosec // spreads processes, guards nothing
	}
}

// returnToPreferred takes the connection back to its preferred server, whenever that is well and the connection is elsewhere, until ctx ends.
func (b *Bus) returnToPreferred(ctx context.Context, look time.Duration) {
	if b.preferred.address == "" {
		return
	}
	well := 0
	for clock.Sleep(ctx, look+rand.N(look/2)) { //nolint:gosec // not all at once; guards nothing
		if b.nc.IsClosed() {
			return
		}
		if !b.nc.IsConnected() || hostOf(b.nc.ConnectedUrl()) == b.preferred.address || !servesNATS(ctx, b.preferred.address) {
			well = 0
			continue
		}
		if well++; well < preferredChecks || !b.quiet(ctx) {
			continue
		}
		well = 0
		b.log.Info("the NATS server that this process belongs to is well again; going back to it", zap.String("server", b.preferred.address))
		b.preferred.back.Store(true)
		if err := b.nc.ForceReconnect(); err != nil {
			b.log.Warn("could not go back", zap.Error(err))
		}
	}
}

// quiet waits for a moment in which no question is on its way, whose answer would be lost with the connection. Messages that
// await an acknowledgement are stored again, and known by their ids.
func (b *Bus) quiet(ctx context.Context) bool {
	for range quietLooks {
		if b.asking.Load() == 0 && b.answers.busy.none() {
			return true
		}
		if !clock.Sleep(ctx, quietEvery) {
			return false
		}
	}
	return false
}

// servesNATS reports whether a NATS server answers at an address. A frozen one accepts connections, but sends nothing.
func servesNATS(ctx context.Context, address string) bool {
	c, err := dial.Dialer(dialWithin).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	if err := c.SetReadDeadline(time.Now().Add(dialWithin)); err != nil {
		return false
	}
	said, err := bufio.NewReader(c).Peek(len("INFO "))
	return err == nil && strings.EqualFold(string(said), "INFO ")
}

func hostOf(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server
	}
	if u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), "4222")
	}
	return u.Host
}
