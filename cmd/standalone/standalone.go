// Package standalone runs the whole house in one process: an embedded nats-server that syncs every message, a private real
// Postgres, a simulated Threads unless an app's credentials are set, a small issuer of dev tokens, and the four services,
// put together by the very functions that the separate processes use.
package standalone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/standalone/issuer"
	"github.com/omni-write/threads/cmd/standalone/walkthrough"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/local"
	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// The ports that are used when they are free; otherwise any free one is.
const (
	gatewayPort   = 3000
	natsPort      = 4222
	simulatorPort = 9099
	issuerPort    = 9098
	adminPort     = 9090
)

const loopback = "127.0.0.1"

// House is the system, started. Run keeps it up.
type House struct {
	// Place is where everything can be reached.
	Place walkthrough.Place

	log     *zap.Logger
	dir     string
	env     map[string]string // what we set; it wins over the process's environment
	outer   func(string) string
	parts   []process.Part
	checks  []process.Check
	closers []func() error
	nats    *natsd.Server
	front   net.Listener // the gateway's
}

// Start starts everything. When it returns, the system is ready for its first request.
func Start(ctx context.Context, getenv func(string) string, log *zap.Logger) (_ *House, err error) {
	dir, err := StateDir(getenv)
	if err != nil {
		return nil, err
	}
	// Open to be entered, because Postgres does not run as root; what is secret in it is closed by itself.
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	h := &House{log: log, dir: dir, env: map[string]string{}, outer: getenv}
	defer func() {
		if err != nil {
			h.closeAll()
		}
	}()
	for _, step := range []func(context.Context) error{
		h.startNATS, h.startPostgres, h.makeKeyset, h.migrate, h.startThreads, h.startIssuer, h.choosePorts, h.buildServices,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Run runs the services until ctx ends, then stops everything in reverse order of harm. up is called once all are ready.
func (h *House) Run(ctx context.Context, up func(context.Context) error) error {
	parts := append(h.parts, process.Part{Name: "story", Run: func(ctx context.Context) error { //nolint:gocritic // our own slice
		if err := h.awaitReady(ctx); err != nil || ctx.Err() != nil {
			return err
		}
		return up(ctx)
	}})
	err := process.Run(ctx, h.log, parts...)
	h.closeAll()
	return err
}

// getenv is the environment of the services: what the house has set up, then what the user has set.
func (h *House) getenv(name string) string {
	if v, ok := h.env[name]; ok {
		return v
	}
	return h.outer(name)
}

// set gives a setting that the user has not made.
func (h *House) set(name, value string) {
	if !isSet(h.outer, name) {
		h.env[name] = value
	}
}

// isSet is whether the environment says something of a setting, directly or as the name of a file.
func isSet(getenv func(string) string, name string) bool {
	base := strings.TrimSuffix(name, "_FILE")
	return getenv(base) != "" || getenv(base+"_FILE") != ""
}

func (h *House) startNATS(ctx context.Context) error {
	l, err := listen(ctx, h.log, loopback, h.outer("NATS_PORT"), natsPort)
	if err != nil {
		return fmt.Errorf("nats-server: %w", err)
	}
	port := portOf(l)
	if err := l.Close(); err != nil { // the server opens it itself
		return fmt.Errorf("nats-server: %w", err)
	}
	options := natsd.Options{StoreDir: filepath.Join(h.dir, "nats"), Host: loopback, Port: port, SyncAlways: true, Log: h.log}
	h.nats, err = natsd.Start(options)
	if err != nil && h.outer("NATS_PORT") == "" { // somebody else may have been faster
		options.Port = -1
		h.nats, err = natsd.Start(options)
	}
	if err != nil {
		return err
	}
	h.closers = append(h.closers, h.nats.Close)
	h.Place.NATSURL = h.nats.ClientURL()
	h.env["NATS_URL"] = h.Place.NATSURL
	return nil
}

func (h *House) startPostgres(ctx context.Context) error {
	if url := h.outer("DATABASE_URL"); url != "" {
		h.Place.DatabaseURL = pg.RedactURL(url)
		return nil
	}
	dir, err := h.postgresDir()
	if err != nil {
		return err
	}
	server, err := local.Start(ctx, local.Options{StateDir: dir, BinDir: h.outer("PG_BINDIR"), Log: h.log})
	if err != nil {
		return err
	}
	h.closers = append(h.closers, server.Close)
	h.parts = append(h.parts, process.Part{Name: "postgres", Run: func(ctx context.Context) error {
		select {
		case <-server.Exited():
			return errors.New("it ended by itself; its log says why")
		case <-ctx.Done():
			return nil
		}
	}})
	h.env["DATABASE_URL"] = server.URL()
	h.Place.DatabaseURL = pg.RedactURL(server.URL())
	return nil
}

// postgresDir is in the state directory, unless we are root and that lies where no other user may enter, as root's own
// directories do: then it is beside root's usual state, under a name that the state directory keeps.
func (h *House) postgresDir() (string, error) {
	if local.Reachable(h.dir) == nil {
		return filepath.Join(h.dir, "postgres"), nil
	}
	id, err := secretFile(filepath.Join(h.dir, "postgres-id")) // a new state directory gets a new database
	if err != nil {
		return "", fmt.Errorf("name the database's directory: %w", err)
	}
	dir := filepath.Join(rootState, "postgres-"+strings.ToLower(id))
	h.log.Warn("postgres does not run as root and may not enter the state directory; its data goes elsewhere", zap.String("state", h.dir), zap.String("postgres", dir))
	return dir, nil
}

func (h *House) makeKeyset(context.Context) error {
	if h.outer("TOKEN_KEYSET") != "" || h.outer("TOKEN_KEYSET_FILE") != "" {
		return nil
	}
	path := filepath.Join(h.dir, "keyset.json")
	if _, err := accounts.LoadOrCreateKeyset(path, h.log); err != nil {
		return err
	}
	h.env["TOKEN_KEYSET_FILE"] = path
	return nil
}

func (h *House) migrate(ctx context.Context) error {
	return boot.Migrate(ctx, h.getenv, h.log, h.nats.InProcess())
}

// startThreads starts the simulator, unless the user brought an app of their own.
func (h *House) startThreads(ctx context.Context) error {
	if h.outer("THREADS_APP_ID") != "" || h.outer("THREADS_API_URL") != "" {
		h.Place.SimulatorURL = h.outer("THREADS_API_URL")
		return nil
	}
	secretPath := filepath.Join(h.dir, "simulated-app-secret")
	secret, err := secretFile(secretPath)
	if err != nil {
		return fmt.Errorf("make the simulated app's secret: %w", err)
	}
	sim, err := threadssim.New(threadssim.Options{AppSecret: secret, Journal: filepath.Join(h.dir, "simulator.journal")})
	if err != nil {
		return fmt.Errorf("start the simulator: %w", err)
	}
	h.closers = append(h.closers, sim.Close)
	url, err := h.serve(ctx, "simulator", h.outer("SIMULATOR_PORT"), simulatorPort, func(string) (http.Handler, error) { return sim, nil })
	if err != nil {
		return err
	}
	h.Place.SimulatorURL = url
	h.set("THREADS_APP_ID", threadssim.DefaultAppID)
	h.set("THREADS_APP_SECRET_FILE", secretPath)
	h.set("THREADS_API_URL", url)
	h.set("THREADS_AUTHORIZE_URL", url+"/oauth/authorize")
	return h.hearSimulator(sim)
}

// startIssuer starts the issuer of dev tokens, unless the user has an issuer of their own. The gateway checks its tokens
// like any other's.
func (h *House) startIssuer(ctx context.Context) error {
	if h.outer("AUTH_ISSUER") != "" {
		h.Place.Token = func(string) (string, error) {
			return "", errors.New("AUTH_ISSUER is set: take a token from there")
		}
		return nil
	}
	url, err := h.serve(ctx, "issuer", h.outer("ISSUER_PORT"), issuerPort, func(url string) (http.Handler, error) {
		i, err := issuer.Load(filepath.Join(h.dir, "issuer"), url)
		if err != nil {
			return nil, err
		}
		h.Place.Token = func(user string) (string, error) { return i.Token(user, 24*time.Hour) }
		return i.Handler(), nil
	})
	if err != nil {
		return err
	}
	h.set("AUTH_ISSUER", url)
	return nil
}

// serve adds a part that serves HTTP on a loopback port, and returns its URL.
func (h *House) serve(ctx context.Context, name, asked string, usual int, handler func(url string) (http.Handler, error)) (string, error) {
	l, err := listen(ctx, h.log, loopback, asked, usual)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	url := "http://" + l.Addr().String()
	root, err := handler(url)
	if err != nil {
		_ = l.Close()
		return "", fmt.Errorf("%s: %w", name, err)
	}
	server := &http.Server{Handler: root, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute}
	h.closers = append(h.closers, server.Close)
	h.parts = append(h.parts, process.Part{Name: name, Run: func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stop()
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}})
	return url, nil
}

func (h *House) choosePorts(ctx context.Context) error {
	h.set("HOST", loopback)
	var err error
	if h.front, err = listen(ctx, h.log, h.getenv("HOST"), h.outer("PORT"), gatewayPort); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	h.closers = append(h.closers, func() error { _ = h.front.Close(); return nil }) // the gateway has closed it already, if it ran
	port := strconv.Itoa(portOf(h.front))
	base := "http://localhost:" + port
	h.env["PORT"] = port
	h.set("PUBLIC_URL", base)
	h.set("THREADS_REDIRECT_URI", base+"/api/auth/threads/callback")
	h.set("THREADS_SUCCESS_REDIRECT_URI", "http://localhost:5173/profile")
	h.set("THREADS_FAILURE_REDIRECT_URI", "http://localhost:5173/profile?error=threads_oauth_failed")
	h.set("CORS_ORIGINS", "http://localhost:5173")
	h.Place.GatewayURL = base
	return nil
}

func (h *House) buildServices(ctx context.Context) error {
	builders := boot.Builders()
	builders["gateway"] = boot.GatewayAt(h.front)
	// The gateway last, so that it is stopped first: no new requests while the others finish.
	for _, name := range []string{"tokenkeeper", "publisher", "auth", "gateway"} {
		s, err := builders[name](ctx, h.getenv, h.log, h.nats.InProcess())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		h.parts = append(h.parts, s.Part)
		h.checks = append(h.checks, s.Ready)
	}
	var err error
	h.Place.AdminURL, err = h.serve(ctx, "admin", h.outer("ADMIN_PORT"), adminPort, func(string) (http.Handler, error) {
		return process.AdminHandler(h.checks...), nil
	})
	if err != nil {
		return err
	}
	nc, err := nats.Connect("", h.nats.InProcess())
	if err != nil {
		return fmt.Errorf("connect as a subscriber: %w", err)
	}
	h.closers = append(h.closers, func() error { nc.Close(); return nil })
	if h.Place.JetStream, err = jetstream.New(nc); err != nil {
		return fmt.Errorf("connect as a subscriber: %w", err)
	}
	return h.leaveAddresses()
}

// awaitReady waits until every service says that it may be relied on, or until it is told to stop.
func (h *House) awaitReady(ctx context.Context) error {
	const patience = 30 * time.Second
	late := time.After(patience)
	for _, check := range h.checks {
		for err := check.Ready(ctx); err != nil; err = check.Ready(ctx) {
			select {
			case <-ctx.Done():
				return nil
			case <-late:
				return fmt.Errorf("%s is not ready after %s: %w", check.Name, patience, err)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

func (h *House) closeAll() {
	for i := len(h.closers) - 1; i >= 0; i-- {
		if err := h.closers[i](); err != nil {
			h.log.Warn("close", zap.Error(err))
		}
	}
	h.closers = nil
}
