package natsd_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/testkit/forked"
)

func TestStart(t *testing.T) {
	t.Parallel()

	t.Run("without a port only this process gets in", func(t *testing.T) {
		t.Parallel()
		s := start(t, natsd.Options{StoreDir: t.TempDir(), SyncAlways: true})
		if url := s.ClientURL(); url != "" {
			t.Errorf("it listens at %s", url)
		}
		nc, err := nats.Connect("", s.InProcess())
		if err != nil {
			t.Fatal(err)
		}
		nc.Close()
	})

	t.Run("with a port others do too", func(t *testing.T) {
		t.Parallel()
		s := start(t, natsd.Options{StoreDir: t.TempDir(), Host: "127.0.0.1", Port: -1, Log: zap.NewNop()})
		nc, err := nats.Connect(s.ClientURL())
		if err != nil {
			t.Fatal(err)
		}
		nc.Close()
	})

	t.Run("two servers never share a directory", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		first := start(t, natsd.Options{StoreDir: dir})
		if _, err := natsd.Start(natsd.Options{StoreDir: dir}); err == nil || !strings.Contains(err.Error(), "already running") {
			t.Errorf("the second says %v", err)
		}
		forked.Hold(t, filepath.Join(dir, ".lock")) // the lock is given back all the same
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		start(t, natsd.Options{StoreDir: dir})
	})

	t.Run("a port that is taken is said to be", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		taken := l.Addr().(*net.TCPAddr).Port
		_, err = natsd.Start(natsd.Options{StoreDir: t.TempDir(), Host: "127.0.0.1", Port: taken})
		if err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("it says %v", err)
		}
	})

	t.Run("an address that cannot be had is refused", func(t *testing.T) {
		t.Parallel()
		if _, err := natsd.Start(natsd.Options{StoreDir: t.TempDir(), Host: "no.such.host.invalid", Port: 1}); err == nil {
			t.Error("it starts")
		}
	})

	t.Run("what is fatal to the server fails Start, and lets go of the directory", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		inTheWay := filepath.Join(dir, "jetstream")
		if err := os.WriteFile(inTheWay, []byte("a file where a directory must be"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := natsd.Start(natsd.Options{StoreDir: dir}); err == nil || !strings.Contains(err.Error(), "JetStream") {
			t.Fatalf("it says %v", err)
		}
		if err := os.Remove(inTheWay); err != nil {
			t.Fatal(err)
		}
		start(t, natsd.Options{StoreDir: dir})
	})
}

func start(t *testing.T, o natsd.Options) *natsd.Server {
	t.Helper()
	s, err := natsd.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
