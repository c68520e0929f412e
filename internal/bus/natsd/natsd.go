// Package natsd runs a nats-server inside this process: for the first run, and for tests.
package natsd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"
)

// Options say where the server keeps its streams and whether others can reach it.
type Options struct {
	StoreDir string
	Host     string
	Port     int // 0: nobody outside the process; -1: any free port
	// Password is asked of whoever connects, in this process or outside; empty: everybody is let in.
	Password string
	// SyncAlways brings every message to the disk before it is acknowledged.
	SyncAlways bool
	Config     string // configuration file of a deployment, of which all but the place and the ports hold; empty: none
	Log        *zap.Logger
}

// User is who connects to a server that asks for a password.
const User = "threads"

// Server is a running nats-server.
type Server struct {
	server *server.Server
	lock   *flock.Flock
}

const (
	startPatience = 15 * time.Second
	// A client that says nothing is cut off, as in nats.conf.
	clientPing  = 5 * time.Second
	clientPings = 2
)

// Start starts a server and returns when it takes connections.
func Start(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	lock, err := lockDir(o.StoreDir)
	if err != nil {
		return nil, err
	}
	s, err := start(o)
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("start nats-server in %s: %w", o.StoreDir, err)
	}
	return &Server{server: s, lock: lock}, nil
}

func start(o Options) (*server.Server, error) {
	opts := &server.Options{
		ServerName: "omni-write", JetStream: true, SyncAlways: o.SyncAlways, PingInterval: clientPing, MaxPingsOut: clientPings,
	}
	if o.Config != "" {
		var err error
		if opts, err = server.ProcessConfigFile(o.Config); err != nil {
			return nil, err
		}
		opts.HTTPPort = 0
	}
	opts.Host, opts.Port, opts.DontListen, opts.StoreDir = o.Host, o.Port, o.Port == 0, o.StoreDir
	opts.NoSigs = true // signals are the program's business
	if o.Password != "" {
		// The least work: the passwords here are made by a machine.
		hash, err := bcrypt.GenerateFromPassword([]byte(o.Password), bcrypt.MinCost)
		if err != nil {
			return nil, fmt.Errorf("hash the password: %w", err)
		}
		opts.Username, opts.Password = User, string(hash)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, err
	}
	log := &logger{log: o.Log.Named("nats-server").WithOptions(zap.IncreaseLevel(zap.WarnLevel))}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	if err := awaitReady(s, log); err != nil {
		s.Shutdown()
		return nil, err
	}
	if cfg := s.JetStreamConfig(); cfg == nil || cfg.SyncAlways != o.SyncAlways {
		// A sync interval of zero silently means two minutes; accepted posts hang on this one setting.
		s.Shutdown()
		return nil, errors.New("jetstream did not take the setting sync always")
	}
	return s, nil
}

// awaitReady waits for the server to take connections, or to say why it cannot.
func awaitReady(s *server.Server, log *logger) error {
	for end := time.Now().Add(startPatience); time.Now().Before(end); {
		ready := s.ReadyForConnections(100 * time.Millisecond)
		if err := log.fatal(); err != nil || ready {
			return err
		}
	}
	return errors.New("it does not come up")
}

// lockDir keeps a second server off the same directory: nats-server itself does not, and both would write the same files.
func lockDir(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the streams: %w", err)
	}
	lock := flock.New(filepath.Join(dir, ".lock"))
	switch taken, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	case !taken:
		return nil, fmt.Errorf("another process is already running on %s; stop it, or choose another state directory", dir)
	}
	return lock, nil
}

// ClientURL is where clients connect; empty when nobody outside the process can.
func (s *Server) ClientURL() string {
	if s.server.Addr() == nil {
		return ""
	}
	return s.server.ClientURL()
}

// InProcess connects without a socket.
func (s *Server) InProcess() nats.Option { return nats.InProcessServer(s) }

// InProcessConn is one such connection.
func (s *Server) InProcessConn() (net.Conn, error) { return s.server.InProcessConn() }

// Close stops the server and returns when everything is on disk.
func (s *Server) Close() error {
	s.server.Shutdown()
	s.server.WaitForShutdown()
	return s.lock.Close()
}
