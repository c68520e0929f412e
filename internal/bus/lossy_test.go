package bus_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/natsd"
)

// lossy is a connection on which the server can be made inaudible: what we say arrives, what it answers is lost.
type lossy struct {
	server nats.InProcessConnProvider
	deaf   atomic.Bool
	only   string        // what is lost has this in it; set before deaf
	lost   chan struct{} // one for each piece of an answer that was lost
}

func (l *lossy) InProcessConn() (net.Conn, error) {
	c, err := l.server.InProcessConn()
	return &lossyConn{c, l}, err
}

type lossyConn struct {
	net.Conn
	l *lossy
}

func (c *lossyConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || !c.l.deaf.Load() || !strings.Contains(string(p[:n]), c.l.only) {
			return n, err
		}
		select {
		case c.l.lost <- struct{}{}:
		default:
		}
	}
}

// connectLossy is a bus on a lossy connection to s, with little patience.
func connectLossy(t *testing.T, s *natsd.Server) (*bus.Bus, *lossy) {
	t.Helper()
	l := &lossy{server: s, lost: make(chan struct{}, 1)}
	b, err := bus.Connect(t.Context(), bus.Config{Name: "lossy", Options: []nats.Option{nats.InProcessServer(l)}, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	b.SetPatience(300 * time.Millisecond)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = b.Close(ctx)
	})
	return b, l
}
