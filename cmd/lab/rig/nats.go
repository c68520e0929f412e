package rig

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/clock"
)

func (s *System) startNATS(ctx context.Context) (err error) {
	if !s.o.Breakable {
		server, err := natsd.Start(natsd.Options{StoreDir: filepath.Join(s.Dir, "nats"), Host: loopback, Port: -1, SyncAlways: true})
		if err != nil {
			return err
		}
		s.OnClose(func() { _ = server.Close() })
		s.NATSURL = server.ClientURL()
		return nil
	}
	if s.natsPort, err = FreePort(ctx); err != nil {
		return fmt.Errorf("find a port for NATS: %w", err)
	}
	s.NATSURL = "nats://" + net.JoinHostPort(loopback, strconv.Itoa(s.natsPort))
	s.OnClose(func() {
		if s.nats != nil {
			s.nats.Stop()
		}
	})
	return s.openNATS()
}

func (s *System) openNATS() (err error) {
	s.nats, err = s.StartPart(s.ctx, "nats", nil, PartNATS, "--dir", filepath.Join(s.Dir, "nats"), "--port", strconv.Itoa(s.natsPort))
	return err
}

// WithoutNATS stops NATS, in order or by kill -9, lets some time pass and starts it again.
func (s *System) WithoutNATS(ctx context.Context, d time.Duration, inOrder bool) error {
	s.natsMu.Lock()
	defer s.natsMu.Unlock()
	if inOrder {
		s.nats.Stop()
	} else {
		s.nats.Kill()
	}
	clock.Sleep(ctx, d)
	return s.openNATS()
}

// FreePort is a port of this machine that nobody listens at.
func FreePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", loopback+":0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("%s is no port", l.Addr())
	}
	return addr.Port, nil
}
