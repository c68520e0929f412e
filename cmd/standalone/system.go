// Package standalone runs the whole system in one process: an embedded nats-server that syncs every message, a private real
// Postgres, a simulated Threads unless an app's credentials are set, a small issuer of dev tokens, and the four services,
// put together by the very functions that the separate processes use.
package standalone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/standalone/home"
	"github.com/omni-write/threads/cmd/standalone/issuer"
	"github.com/omni-write/threads/cmd/standalone/walkthrough"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/local"
	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/internal/vault"
)

const (
	loopback = "127.0.0.1"
	// frontend is where a frontend that is being worked on usually runs.
	frontend     = "http://localhost:5173"
	frontendPath = "/profile"
	// appSecretFile holds the secret of the simulated app.
	appSecretFile = "simulated-app-secret"
	connectPath   = home.PathConnect
	connectedPath = home.PathConnected
)

// System is the system, started. Run keeps it up.
type System struct {
	// Endpoints are where everything can be reached.
	Endpoints walkthrough.Endpoints

	log     *zap.Logger
	dir     string
	env     map[string]string // what we set; it wins over the process's environment
	outer   func(string) string
	parts   []process.Part
	checks  []process.Check
	closers []func() error
	nats    *natsd.Server
	front   net.Listener // the gateway's

	starting []func(what string)
}

// Start starts everything. When it returns, the system is ready for its first request. starting is told what is done next.
func Start(ctx context.Context, getenv func(string) string, log *zap.Logger, starting ...func(what string)) (_ *System, err error) {
	dir, err := StateDir(getenv)
	if err != nil {
		return nil, err
	}
	sys := &System{log: log, dir: dir, env: map[string]string{}, outer: getenv, starting: starting}
	defer func() {
		if err != nil {
			sys.closeAll()
		}
	}()
	for _, step := range []func(context.Context) error{
		sys.checkSettings, sys.makeState, sys.startNATS, sys.startPostgres, sys.makeKeyset, sys.migrate, sys.startThreads, sys.startIssuer,
		sys.choosePorts, sys.buildServices,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return sys, nil
}

// say tells what is done next, where that may take a moment.
func (sys *System) say(format string, args ...any) {
	for _, tell := range sys.starting {
		tell(fmt.Sprintf(format, args...))
	}
}

// makeState makes the state directory, and makes us the only one that uses it.
func (sys *System) makeState(ctx context.Context) error {
	// Open to be entered, because Postgres does not run as root; what is secret in it is closed by itself.
	if err := os.MkdirAll(sys.dir, 0o755); err != nil {
		return fmt.Errorf("the state directory cannot be made (STATE_DIR names another): %w", err)
	}
	return sys.lockState(ctx)
}

// Run runs the services until ctx ends, then stops everything in reverse order of harm. up is called once all are ready.
func (sys *System) Run(ctx context.Context, up func(context.Context) error) error {
	parts := append(sys.parts, process.Part{Name: "started", Run: func(ctx context.Context) error { //nolint:gocritic // our own slice
		if err := sys.awaitReady(ctx); err != nil || ctx.Err() != nil {
			return err
		}
		return up(ctx)
	}})
	err := process.Run(ctx, sys.log, parts...)
	sys.closeAll()
	return err
}

// getenv is the environment of the services: what the system has set up, then what the user has set.
func (sys *System) getenv(name string) string {
	if v, ok := sys.env[name]; ok {
		return v
	}
	return sys.outer(name)
}

// set gives a setting that the user has not made.
func (sys *System) set(name, value string) {
	if !isSet(sys.outer, name) {
		sys.env[name] = value
	}
}

// isSet is whether the environment says something of a setting, directly or as the name of a file.
func isSet(getenv func(string) string, name string) bool {
	base := strings.TrimSuffix(name, "_FILE")
	return getenv(base) != "" || getenv(base+"_FILE") != ""
}

func (sys *System) startNATS(ctx context.Context) error {
	store := filepath.Join(sys.dir, "nats")
	sys.say("starting NATS, which keeps what happens in %s", store)
	l, err := natsPort.listen(ctx, sys.log, loopback, sys.outer)
	if err != nil {
		return fmt.Errorf("nats-server: %w", err)
	}
	port := portOf(l)
	if sys.Endpoints.NATSPasswordFile, err = filepath.Abs(filepath.Join(sys.dir, "nats-password")); err != nil {
		return fmt.Errorf("nats-server: %w", err)
	}
	// Whoever reaches the streams is everybody's service: other people of this machine are kept out.
	password, err := secretFile(sys.Endpoints.NATSPasswordFile)
	if err != nil {
		return fmt.Errorf("make the password of NATS: %w", err)
	}
	if err := l.Close(); err != nil { // the server opens it itself
		return fmt.Errorf("nats-server: %w", err)
	}
	options := natsd.Options{StoreDir: store, Host: loopback, Port: port, Password: password, SyncAlways: true, Log: sys.log}
	sys.nats, err = natsd.Start(options)
	if err != nil && sys.outer("NATS_PORT") == "" { // somebody else may have been faster
		options.Port = -1
		sys.nats, err = natsd.Start(options)
	}
	if err != nil {
		return err
	}
	sys.closers = append(sys.closers, sys.nats.Close)
	sys.Endpoints.NATSURL = sys.nats.ClientURL()
	sys.env["NATS_URL"] = withUser(sys.Endpoints.NATSURL, natsd.User, password)
	return nil
}

// withUser is an address with who connects there.
func withUser(address, user, password string) string {
	u, err := url.Parse(address)
	if err != nil { // the server's own word for where it is
		return address
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

func (sys *System) startPostgres(ctx context.Context) error {
	if url := sys.outer("DATABASE_URL"); url != "" {
		sys.Endpoints.DatabaseURL = pg.RedactURL(url)
		sys.say("connecting to the Postgres of DATABASE_URL, %s", sys.Endpoints.DatabaseURL)
		return nil
	}
	dir, err := sys.postgresDir()
	if err != nil {
		return err
	}
	if made, _ := filepath.Glob(filepath.Join(dir, "postgres-*", "PG_VERSION")); len(made) > 0 { // only a malformed pattern is an error
		sys.say("starting Postgres, with the database in %s", dir)
	} else {
		sys.say("starting Postgres, and making its database in %s, once", dir)
	}
	server, err := local.Start(ctx, local.Options{StateDir: dir, BinDir: sys.outer("PG_BINDIR"), Repository: sys.outer("PG_REPOSITORY"), Log: sys.log})
	if err != nil {
		return err
	}
	sys.closers = append(sys.closers, server.Close)
	sys.parts = append(sys.parts, process.Part{Name: "postgres", Run: func(ctx context.Context) error {
		select {
		case <-server.Exited():
			return errors.New("it ended by itself; its log says why")
		case <-ctx.Done():
			return nil
		}
	}})
	sys.env["DATABASE_URL"] = server.URL()
	sys.Endpoints.DatabaseURL = pg.RedactURL(server.URL())
	return nil
}

// postgresDir is in the state directory, unless we are root and that lies where no other user may enter, as root's own
// directories do: then it is beside root's usual state, under a name that the state directory keeps.
func (sys *System) postgresDir() (string, error) {
	if local.Reachable(sys.dir) == nil {
		return filepath.Join(sys.dir, "postgres"), nil
	}
	id, err := secretFile(filepath.Join(sys.dir, "postgres-id")) // a new state directory gets a new database
	if err != nil {
		return "", fmt.Errorf("name the database's directory: %w", err)
	}
	dir := filepath.Join(rootState, "postgres-"+strings.ToLower(id))
	sys.log.Warn("postgres does not run as root and may not enter the state directory; its data goes elsewhere", zap.String("state", sys.dir), zap.String("postgres", dir))
	return dir, nil
}

func (sys *System) makeKeyset(context.Context) error {
	if sys.outer("TOKEN_KEYSET") != "" || sys.outer("TOKEN_KEYSET_FILE") != "" {
		return nil
	}
	path := filepath.Join(sys.dir, "keyset.json")
	if _, err := vault.LoadOrCreateKeyset(path, sys.log); err != nil {
		return err
	}
	sys.env["TOKEN_KEYSET_FILE"] = path
	return nil
}

func (sys *System) migrate(ctx context.Context) error {
	sys.say("bringing tables and streams to this version")
	return boot.Migrate(ctx, sys.getenv, sys.log, sys.nats.InProcess())
}

// startThreads starts the simulator, unless the user brought an app of their own.
func (sys *System) startThreads(ctx context.Context) error {
	if sys.ownThreads() {
		sys.Endpoints.SimulatorURL = sys.outer("THREADS_API_URL")
		return nil
	}
	secret, err := secretFile(filepath.Join(sys.dir, appSecretFile))
	if err != nil {
		return fmt.Errorf("make the simulated app's secret: %w", err)
	}
	sim, err := threadssim.New(threadssim.Options{AppSecret: secret, Journal: filepath.Join(sys.dir, "simulator.journal")})
	if err != nil {
		return fmt.Errorf("start the simulator: %w", err)
	}
	sys.closers = append(sys.closers, sim.Close)
	sys.say("starting a simulated Threads and the services")
	address, err := sys.serve(ctx, "simulator", simulatorPort, func(string) (http.Handler, error) { return sim, nil })
	if err != nil {
		return err
	}
	sys.addressSimulator(address)
	return sys.receiveWebhooks(sim)
}

// startIssuer starts the issuer of dev tokens, unless the user has an issuer of their own. The gateway checks its tokens
// like any other's.
func (sys *System) startIssuer(ctx context.Context) error {
	if sys.outer("AUTH_ISSUER") != "" {
		sys.Endpoints.Token = func(string) (string, error) {
			return "", errors.New("AUTH_ISSUER is set: take a token from there")
		}
		return nil
	}
	address, err := sys.serve(ctx, "issuer", issuerPort, func(url string) (http.Handler, error) {
		i, err := issuer.Load(filepath.Join(sys.dir, "issuer"), url)
		if err != nil {
			return nil, err
		}
		sys.Endpoints.Token = func(user string) (string, error) { return i.Token(user, 24*time.Hour) }
		sys.Endpoints.IssuerURL = url
		mux := http.NewServeMux()
		mux.Handle("/", i.Handler())
		home.Register(mux, home.Options{
			User: walkthrough.User, Token: sys.Endpoints.Token, TokenLine: sys.Endpoints.TokenLine,
			Gateway:   func() string { return sys.Endpoints.GatewayURL },
			Simulator: func() string { return sys.Endpoints.SimulatorURL },
			Frontend:  func() string { at, _, _ := strings.Cut(sys.getenv("CORS_ORIGINS"), ","); return at + frontendPath },
		}, i.HomeOnly)
		return mux, nil
	})
	if err == nil {
		sys.addressIssuer(address)
	}
	return err
}

// serve adds a part that serves HTTP on a loopback port, and returns its URL.
func (sys *System) serve(ctx context.Context, name string, at port, handler func(url string) (http.Handler, error)) (string, error) {
	l, err := at.listen(ctx, sys.log, loopback, sys.outer)
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
	sys.closers = append(sys.closers, server.Close)
	sys.parts = append(sys.parts, process.Part{Name: name, Run: func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stop()
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}})
	return url, nil
}

func (sys *System) choosePorts(ctx context.Context) error {
	host := sys.outer("HOST")
	if host == "" {
		host = loopback
	}
	var err error
	if sys.front, err = gatewayPort.listen(ctx, sys.log, host, sys.outer); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	sys.closers = append(sys.closers, func() error { _ = sys.front.Close(); return nil }) // the gateway has closed it already, if it ran
	sys.addressGateway(portOf(sys.front))
	return nil
}

func (sys *System) buildServices(ctx context.Context) error {
	builders := boot.Builders()
	builders["gateway"] = boot.GatewayAt(sys.front, sys.Endpoints.IssuerURL != "")
	// The gateway last, so that it is stopped first: no new requests while the others finish.
	for _, name := range []string{"tokenkeeper", "publisher", "auth", "gateway"} {
		s, err := builders[name](ctx, sys.getenv, sys.log, sys.nats.InProcess())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		sys.parts = append(sys.parts, s.Part)
		sys.checks = append(sys.checks, s.Ready)
	}
	var err error
	sys.Endpoints.AdminURL, err = sys.serve(ctx, "admin", adminPort, func(string) (http.Handler, error) {
		return process.AdminHandler(sys.checks...), nil
	})
	if err != nil {
		return err
	}
	nc, err := nats.Connect(sys.getenv("NATS_URL"), sys.nats.InProcess())
	if err != nil {
		return fmt.Errorf("connect as a subscriber: %w", err)
	}
	sys.closers = append(sys.closers, func() error { nc.Close(); return nil })
	if sys.Endpoints.JetStream, err = jetstream.New(nc); err != nil {
		return fmt.Errorf("connect as a subscriber: %w", err)
	}
	return sys.writeEnvFile()
}

// awaitReady waits until every service says that it may be relied on, or until it is told to stop.
func (sys *System) awaitReady(ctx context.Context) error {
	const patience = 30 * time.Second
	late := time.After(patience)
	for _, check := range sys.checks {
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

func (sys *System) closeAll() {
	for i := len(sys.closers) - 1; i >= 0; i-- {
		if err := sys.closers[i](); err != nil {
			sys.log.Warn("close", zap.Error(err))
		}
	}
	sys.closers = nil
}
