// Package local finds the Postgres that is installed on this machine and runs a private server with it: own data
// directory, own random port on 127.0.0.1, own password. Nothing that the system runs is touched, and the server dies
// with the process that started it, however that ends (after a SIGKILL: on Linux at once, elsewhere when the next Start
// on the same directory finds it).
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
)

const (
	superuser   = "postgres"
	appDatabase = "app"
)

// Options says where a server keeps its state and where to look for the binaries.
type Options struct {
	// StateDir is a directory that is ours alone; made when missing. Data goes to postgres-<major> in it.
	StateDir string
	// BinDir holds the binaries to use ($PG_BINDIR). Empty: look around.
	BinDir string
	// Throwaway is for tests: fast instead of durable, and no lock, since the directory is fresh.
	Throwaway bool
	// NoDownload forbids fetching Postgres when none is installed.
	NoDownload bool
	// Repository is where to download from ($PG_REPOSITORY): an address of one that is laid out as Maven's are. Empty: the one that
	// the library embedded-postgres names.
	Repository string
	// CacheDir is where what was downloaded is kept. Empty: the user's cache.
	CacheDir string
	// Search restricts where to look to these glob patterns of bin directories. Nil: all the usual places, the PATH
	// and what was downloaded before.
	Search []string
	// Log may be nil.
	Log *zap.Logger
}

// Server is a running private Postgres.
type Server struct {
	log      *zap.Logger
	child    *child
	lock     io.Closer
	logFile  string
	port     int
	password string

	stop    sync.Once
	stopErr error
	closing chan struct{}
}

// Start starts a server, initialising its data on first use, and returns when it answers. ctx bounds the start only;
// the server lives until Close.
func Start(ctx context.Context, o Options) (_ *Server, err error) {
	if !supported {
		return nil, errors.New("a private Postgres is only run on Linux, macOS and BSD: " + waysOut())
	}
	log := o.Log
	if log == nil {
		log = zap.NewNop()
	}
	if o.StateDir == "" {
		return nil, errors.New("start Postgres: no state directory given")
	}
	dir, err := filepath.Abs(o.StateDir)
	if err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	who, err := dropTo()
	if err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	if err := prepareDir(dir, who); err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}

	s := &Server{log: log, logFile: filepath.Join(dir, "postgres.log"), closing: make(chan struct{})}
	if !o.Throwaway {
		if s.lock, err = lockDir(dir); err != nil {
			return nil, fmt.Errorf("start Postgres: %w", err)
		}
	}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()

	bins, err := find(ctx, o, dir, who, log)
	if err != nil {
		return nil, err // a sentence of its own
	}
	c := cluster{
		bins:      bins,
		who:       who,
		data:      filepath.Join(dir, fmt.Sprintf("%s%d", dataPrefix, bins.major)),
		log:       log,
		throwaway: o.Throwaway,
	}
	if s.password, err = c.init(ctx); err != nil {
		return nil, fmt.Errorf("initialise Postgres in %s: %w", c.data, err)
	}
	if err := clearLeftover(ctx, c.data, log); err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	if err := s.launch(ctx, c); err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	if err := s.createApp(ctx); err != nil {
		return nil, fmt.Errorf("create database %s: %w", appDatabase, err)
	}
	go s.watch()
	log.Info("private postgres is running", zap.String("version", bins.version), zap.String("binaries", bins.dir),
		zap.String("data", c.data), zap.Int("port", s.port))
	return s, nil
}

// URL is that of the database "app". It holds the password.
func (s *Server) URL() string { return s.url(appDatabase) }

// AdminURL is that of the database "postgres", for creating and dropping others. It holds the password.
func (s *Server) AdminURL() string { return s.url("postgres") }

// Exited is closed when the server has ended, whether asked to or not.
func (s *Server) Exited() <-chan struct{} { return s.child.exited }

// Close stops the server: fast (sessions are cut, everything is on disk) for 10 s, then immediately (the next start
// recovers). It is safe to call twice.
func (s *Server) Close() error {
	s.stop.Do(func() {
		close(s.closing)
		if s.child != nil {
			s.stopErr = s.child.stop()
		}
		if s.lock != nil {
			_ = s.lock.Close()
		}
	})
	return s.stopErr
}

// watch says so when the server ends on its own.
func (s *Server) watch() {
	<-s.child.exited
	select {
	case <-s.closing:
	default:
		s.log.Error("private postgres ended by itself", zap.String("log", s.logFile), zap.Error(s.child.err))
	}
}

func (s *Server) createApp(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.AdminURL())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", appDatabase).Scan(&exists); err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+appDatabase)
	return err
}

func (s *Server) url(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort("127.0.0.1", fmt.Sprint(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Reachable says whether the user that Postgres would run as may enter dir, which must exist. Only root has another user
// run it.
func Reachable(dir string) error {
	who, err := dropTo()
	if err != nil {
		return err
	}
	return enterable(dir, who)
}
