package rig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/omni-write/threads/internal/clock"
)

func (s *System) startNATS(ctx context.Context) (err error) {
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

// NATSBytes is what the files of NATS hold: streams and durables, with what is deleted on them but not cleared away yet.
func (s *System) NATSBytes() (total int64, err error) {
	err = filepath.WalkDir(filepath.Join(s.Dir, "nats"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return gone(err)
		}
		file, err := d.Info()
		if err != nil {
			return gone(err)
		}
		total += file.Size()
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("look at the files of NATS: %w", err)
	}
	return total, nil
}

// gone forgives a file that NATS takes away meanwhile.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// lastPort counts through ports below those that the system gives to outgoing connections: a part that was killed must find
// its own free again.
var lastPort = func() *atomic.Int64 { n := new(atomic.Int64); n.Store(rand.Int64N(ports)); return n }() //nolint:gosec // no secret

const firstPort, ports = 20_000, 10_000

// FreePort is a port of this machine that nobody listens at, another each time.
func FreePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	for range ports {
		port := firstPort + int(lastPort.Add(1)%ports)
		if l, err := config.Listen(ctx, "tcp", net.JoinHostPort(loopback, strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("every port that may be had is taken")
}
