// Package rig starts the real parts of the system as processes, for bench, torture and the tests of the whole program:
// Postgres, nats-server, services, a simulated Threads. Each part is this program again, so what runs is what production runs.
package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/local"
	"github.com/omni-write/threads/internal/subprocess"
	"github.com/omni-write/threads/internal/vault"
)

const loopback = "127.0.0.1"

// Options say what a system is like.
type Options struct {
	Name string // in the names of its directory and of our connections
	Dir  string // where its directory is made; empty: the system's temporary directory
	// Breakable makes Postgres one that can be stopped: behind a proxy and without fsync. Processes die then, machines do
	// not, and what a process has written survives it; Postgres is only ever stopped in order, since commits that were
	// answered may not be on disk yet.
	Breakable bool
	// DatabaseURL is of an empty database to be used; without it, Postgres is started.
	DatabaseURL string
	// Unmigrated leaves it to others to make tables and streams. There is no Bus then: it could not rely on anything.
	Unmigrated bool
	// Counted has Postgres count the calls of statements, where its extension for that is installed.
	Counted  bool
	MaxConns int               // of our own pool; 0: as usual
	Settings map[string]string // of the services, beside those that lead to the system
}

// System is Postgres and NATS with all tables and streams, and what leads to them.
type System struct {
	Dir         string
	DatabaseURL string
	NATSURL     string
	ThreadsURL  string // whoever starts a Threads sets it
	Vault       *vault.Vault
	DB          *bun.DB
	Bus         *bus.Bus // as the gateway, whose part we play: we hand in the posts
	Proxy       *Proxy   // before Postgres, where it is breakable

	o        Options
	keyset   string
	postgres *local.Server
	pgMu     sync.Mutex // one at a time stops it or starts it
	natsPort int
	nats     *subprocess.Process
	natsMu   sync.Mutex
	closers  []func()
	ctx      context.Context //nolint:containedctx // of the processes, which live as long as the system
}

// Open starts Postgres and NATS and makes tables and streams. The processes live as long as ctx, or until Close.
func Open(ctx context.Context, o Options) (_ *System, err error) {
	s := &System{o: o, ctx: ctx}
	defer func() {
		if err != nil {
			s.Close(false)
		}
	}()
	for _, step := range []func(context.Context) error{s.makeDir, s.startPostgres, s.startNATS, s.makeKeyset, s.migrate} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// OnClose has something done when the system is closed, the last first.
func (s *System) OnClose(f func()) { s.closers = append(s.closers, f) }

// Close ends everything. keep leaves the directory, with the logs of all processes.
func (s *System) Close(keep bool) {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	s.closers = nil
	if !keep && s.Dir != "" {
		_ = os.RemoveAll(s.Dir)
	}
}

func (s *System) makeDir(context.Context) (err error) {
	if s.Dir, err = os.MkdirTemp(s.o.Dir, "threads-"+s.o.Name+"-"); err != nil {
		return fmt.Errorf("make a directory for the run: %w", err)
	}
	return os.Chmod(s.Dir, 0o755) //nolint:gosec // Postgres runs as another user when we are root, and must enter
}

func (s *System) makeKeyset(context.Context) error {
	keyset, err := vault.NewKeyset()
	if err != nil {
		return err
	}
	s.keyset = string(keyset)
	s.Vault, err = vault.Open(keyset)
	return err
}

// migrate makes tables and streams, and connects.
func (s *System) migrate(ctx context.Context) (err error) {
	s.DB, err = pg.Open(ctx, pg.Config{URL: s.DatabaseURL, Application: s.o.Name, MaxConns: s.o.MaxConns}, zap.NewNop())
	if err != nil {
		return err
	}
	s.OnClose(func() { _ = s.DB.Close() })
	if s.o.Unmigrated {
		return nil
	}
	if err := boot.Migrate(ctx, s.Getenv, zap.NewNop()); err != nil {
		return err
	}
	if s.Bus, err = bus.Connect(ctx, bus.Config{URL: s.NATSURL, Name: "gateway"}); err != nil {
		return err
	}
	s.OnClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = s.Bus.Close(ctx)
	})
	return nil
}

// settings lead the services to the system.
func (s *System) settings() map[string]string {
	m := map[string]string{
		"DATABASE_URL": s.DatabaseURL, "NATS_URL": s.NATSURL, "TOKEN_KEYSET": s.keyset, "TOKEN_KEYSET_FILE": "",
		"THREADS_API_URL": s.ThreadsURL, "LOG_FORMAT": "json",
	}
	for name, value := range s.o.Settings {
		m[name] = value
	}
	return m
}

// Env are these settings for a process; whatever else is set in our environment holds for it too.
func (s *System) Env(more ...string) []string {
	settings := s.settings()
	env := make([]string, 0, len(settings)+len(more))
	for name, value := range settings {
		env = append(env, name+"="+value)
	}
	return append(env, more...)
}

// Getenv is the environment of such a process.
func (s *System) Getenv(name string) string {
	if value, ok := s.settings()[name]; ok {
		return value
	}
	return os.Getenv(name)
}

// StartPart starts a part, with its log in a file of the name.
func (s *System) StartPart(ctx context.Context, log string, env []string, part string, flags ...string) (*subprocess.Process, error) {
	if !filepath.IsAbs(log) {
		log = filepath.Join(s.Dir, log)
	}
	// It goes on in the same file after a restart.
	f, err := os.OpenFile(log+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", part, err)
	}
	defer func() { _ = f.Close() }() // the process has its own handle
	return subprocess.Serve(ctx, subprocess.Command{Words: append([]string{Word, part}, flags...), Env: append(os.Environ(), env...), Log: f})
}
