package standalone

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/tracing"
	"github.com/omni-write/threads/services/auth"
	"github.com/omni-write/threads/services/gateway"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/tokenkeeper"
)

// Common is what the processes of all services are told.
type Common struct {
	// NATSURL is where NATS is: nats://host:4222, several comma-separated.
	NATSURL string `env:"NATS_URL" envDefault:"nats://127.0.0.1:4222"`
	// NATSUser and NATSPassword are who we are to it; the user is the service's own name when there is only a password.
	NATSUser     string `env:"NATS_USER"`
	NATSPassword string `env:"NATS_PASSWORD"`
	// NATSCredentials is a .creds file and NATSNKey the file of an nkey's seed, which say the same in other ways; NATSCA is
	// a file with the server's certificate authority; NATSCert and NATSKey are the client's own pair. All optional.
	NATSCredentials string `env:"NATS_CREDS_FILE"`
	NATSNKey        string `env:"NATS_NKEY_FILE"`
	NATSCA          string `env:"NATS_CA_FILE"`
	NATSCert        string `env:"NATS_CERT_FILE"`
	NATSKey         string `env:"NATS_KEY_FILE"`
	// DatabaseURL is where Postgres is: postgres://user:password@host:port/name. Read by all but the gateway.
	DatabaseURL string `env:"DATABASE_URL"`
	// DatabasePassword is put into DatabaseURL where that has none. Read by all but the gateway.
	DatabasePassword string `env:"DATABASE_PASSWORD"`
	// DatabaseConns bounds a service's connections to Postgres. In one process, auth, publisher and tokenkeeper have so many
	// each; a start takes two more while it migrates. Commands have three of four at most. At least 3. Read by auth, publisher
	// and tokenkeeper.
	DatabaseConns int `env:"DATABASE_CONNS" envDefault:"16"`
	// DatabaseSideConns bounds the connections that a publisher has besides, for questions and for what is not publishing: that
	// takes none from a post. At least 3. Read by publisher.
	DatabaseSideConns int `env:"DATABASE_SIDE_CONNS" envDefault:"8"`
	// Keyset seals the tokens: a Tink AEAD keyset as JSON or base64. Needed by auth, publisher and tokenkeeper.
	Keyset string `env:"TOKEN_KEYSET"`
	// AdminAddr is where /livez, /readyz and /metrics are served, host:port. Not for the public. The simulator serves
	// them only where this is set. Read by services, simulator and healthcheck.
	AdminAddr string `env:"ADMIN_ADDR" envDefault:"127.0.0.1:9090"`
	// Replicas is how many copies of every stream NATS keeps: 1 on one machine, 3 in a cluster. Read by migrate and doctor.
	Replicas int `env:"NATS_REPLICAS" envDefault:"1"`
	// EventsMaxAge is how long facts are kept on EVENTS. Empty: for ever. Read by migrate and doctor.
	EventsMaxAge time.Duration `env:"EVENTS_MAX_AGE"`
	// LogLevel is how much is logged, LogFormat how it is written. One of debug, info, warn and error; one of json and console
	// (empty: console at a terminal, else json).
	LogLevel  string `env:"LOG_LEVEL" envDefault:"info"`
	LogFormat string `env:"LOG_FORMAT"`
	// OTLP is where an OpenTelemetry collector takes spans over HTTP, as http://collector:4318; OTLPTraces is the same
	// with its path, as http://collector:4318/v1/traces. Empty: no spans are made. OTelName is this process' name in them
	// (default: omni-write-gateway and so on).
	OTLP       string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
	OTLPTraces string `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"`
	OTelName   string `env:"OTEL_SERVICE_NAME"`
}

// Traces begins to send the spans of the process that runs this word, if the settings say where to. flush sends the last.
func (c Common) Traces(ctx context.Context, word string, log *zap.Logger) (flush func(), err error) {
	endpoint := c.OTLPTraces
	if endpoint == "" && c.OTLP != "" {
		endpoint = strings.TrimRight(c.OTLP, "/") + "/v1/traces"
	}
	if endpoint == "" {
		return func() {}, nil
	}
	return tracing.Start(ctx, endpoint, cmp.Or(c.OTelName, strings.TrimSuffix("omni-write-"+word, "-")), log)
}

// Service is one service of the house, put together from the environment: the same way in a process of its own as in
// standalone.
type Service struct {
	process.Part
	Ready process.Check
}

// Builder puts a service together. opts are extra options of the connection to NATS.
type Builder func(ctx context.Context, getenv func(string) string, log *zap.Logger, opts ...nats.Option) (Service, error)

// Builders are the services by the word that starts them.
func Builders() map[string]Builder {
	return map[string]Builder{
		"gateway": gatewayOn(nil), "auth": buildAuth, "publisher": PublisherBy(nil), "tokenkeeper": buildTokenkeeper,
	}
}

// gatewayOn builds a gateway that listens at l; nil: at its HOST and PORT.
func gatewayOn(l net.Listener) Builder {
	return func(ctx context.Context, getenv func(string) string, log *zap.Logger, opts ...nats.Option) (Service, error) {
		cfg, err := gateway.ConfigFromEnv(getenv)
		if err != nil {
			return Service{}, err
		}
		r, err := reach(ctx, "gateway", getenv, log, false, opts)
		if err != nil {
			return Service{}, err
		}
		s, err := gateway.New(cfg, gateway.Deps{Bus: r.bus, Listener: l, Log: r.log})
		if err != nil {
			return Service{}, err
		}
		return r.service(s.Run, s.Ready), nil
	}
}

func buildAuth(ctx context.Context, getenv func(string) string, log *zap.Logger, opts ...nats.Option) (Service, error) {
	cfg, err := auth.ConfigFromEnv(getenv)
	if err != nil {
		return Service{}, err
	}
	r, err := reach(ctx, "auth", getenv, log, true, opts)
	if err != nil {
		return Service{}, err
	}
	s := auth.New(cfg, auth.Deps{Bus: r.bus, DB: r.db, Threads: threads.New(cfg.Threads()), Vault: r.vault, Log: r.log})
	return r.service(s.Run, s.Ready), nil
}

// PublisherBy builds a publisher that goes by a clock; nil: the machine's.
func PublisherBy(now func() time.Time) Builder {
	return func(ctx context.Context, getenv func(string) string, log *zap.Logger, opts ...nats.Option) (Service, error) {
		cfg, err := publisher.ConfigFromEnv(getenv)
		if err != nil {
			return Service{}, err
		}
		r, err := reach(ctx, "publisher", getenv, log, true, opts)
		if err != nil {
			return Service{}, err
		}
		if err := r.openSide(ctx, getenv); err != nil {
			r.leave()
			return Service{}, err
		}
		s := publisher.New(cfg, publisher.Deps{Bus: r.bus, DB: r.db, Side: r.side, Threads: threads.New(cfg.Threads()), Vault: r.vault, Log: r.log, Now: now})
		return r.service(s.Run, s.Ready), nil
	}
}

func buildTokenkeeper(ctx context.Context, getenv func(string) string, log *zap.Logger, opts ...nats.Option) (Service, error) {
	cfg, err := tokenkeeper.ConfigFromEnv(getenv)
	if err != nil {
		return Service{}, err
	}
	r, err := reach(ctx, "tokenkeeper", getenv, log, true, opts)
	if err != nil {
		return Service{}, err
	}
	s := tokenkeeper.New(cfg, tokenkeeper.Deps{Bus: r.bus, DB: r.db, Threads: threads.New(cfg.Threads()), Vault: r.vault, Log: r.log})
	return r.service(s.Run, s.Ready), nil
}

// reached is what a service is connected to.
type reached struct {
	name  string
	log   *zap.Logger
	bus   *bus.Bus
	db    *bun.DB
	side  *bun.DB // nil: none
	vault *accounts.Vault
}

// needs are the streams and durables that a service cannot work without.
var needs = map[string]struct{ streams, durables []string }{
	"gateway":     {[]string{events.StreamCommands, events.StreamEvents}, nil},
	"auth":        {[]string{events.StreamCommands, events.StreamEvents, events.StreamDead}, []string{events.AuthCommands}},
	"publisher":   {[]string{events.StreamCommands, events.StreamEvents, events.StreamPostAlarms, events.StreamDead}, []string{events.PublisherCommands, events.PublisherDue, events.PublisherRecorder, events.PublisherWebhooks}},
	"tokenkeeper": {[]string{events.StreamCommands, events.StreamEvents, events.StreamTokenAlarms, events.StreamDead}, []string{events.TokenkeeperCommands, events.TokenkeeperAccounts, events.TokenkeeperDue}},
}

// reach connects a service to what it needs, and checks that what it finds there is of this version.
func reach(ctx context.Context, name string, getenv func(string) string, log *zap.Logger, database bool, opts []nats.Option) (r reached, err error) {
	common, err := process.Env[Common](getenv)
	if err != nil {
		return r, err
	}
	r = reached{name: name, log: log.With(zap.String("service", name))}
	defer func() {
		if err != nil {
			r.leave()
		}
	}()
	if database {
		if err = common.missing(); err != nil {
			return r, err
		}
		if r.vault, err = liveVault(common, getenv("TOKEN_KEYSET_FILE"), r.log); err != nil {
			return r, err
		}
		if r.db, err = openDatabase(ctx, name, common, r.log); err != nil {
			return r, err
		}
		pending, err := pg.Pending(ctx, r.db)
		if err != nil {
			return r, err
		}
		if len(pending) > 0 {
			return r, fmt.Errorf("the database lacks %d migrations (%v); run the command migrate", len(pending), pending)
		}
	}
	if r.bus, err = connect(ctx, name, common, r.log, opts); err != nil {
		return r, err
	}
	return r, bus.Verify(ctx, r.bus, needs[name].streams, needs[name].durables)
}

// askedWithin bounds a statement of a question: its asker waits no longer.
const askedWithin = 5 * time.Second

// openSide opens the second pool of a service.
func (r *reached) openSide(ctx context.Context, getenv func(string) string) error {
	common, err := process.Env[Common](getenv)
	if err != nil {
		return err
	}
	r.side, err = openPool(ctx, common, pg.Config{
		Application: "threads-" + r.name + "-side", MaxConns: common.DatabaseSideConns, StatementTimeout: askedWithin,
	}, r.log)
	return err
}

// service wraps a service's Run so that its connections are closed after it.
func (r reached) service(run func(context.Context) error, ready func(context.Context) error) Service {
	return Service{
		Part: process.Part{Name: r.name, StopWithin: 30 * time.Second, Run: func(ctx context.Context) error {
			defer r.leave()
			return run(ctx)
		}},
		Ready: process.Check{Name: r.name, Ready: ready},
	}
}

func (r reached) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if r.bus != nil {
		if err := r.bus.Close(ctx); err != nil {
			r.log.Warn("close the bus", zap.Error(err))
		}
	}
	for _, db := range []*bun.DB{r.side, r.db} {
		if db == nil {
			continue
		}
		if err := db.Close(); err != nil {
			r.log.Warn("close the database", zap.Error(err))
		}
	}
}

func connect(ctx context.Context, name string, c Common, log *zap.Logger, opts []nats.Option) (*bus.Bus, error) {
	return bus.Connect(ctx, bus.Config{
		URL: c.NATSURL, Name: name, Options: opts, Log: log,
		Identity: bus.Identity{
			User: c.NATSUser, Password: c.NATSPassword, Credentials: c.NATSCredentials, NKey: c.NATSNKey,
			CA: c.NATSCA, Cert: c.NATSCert, Key: c.NATSKey,
		},
	})
}

// Mistakes names what cannot be meant.
func (c Common) Mistakes() (wrong []error) {
	if c.DatabaseConns < pg.MinConns {
		wrong = append(wrong, fmt.Errorf("DATABASE_CONNS must be at least %d", pg.MinConns))
	}
	if c.DatabaseSideConns < pg.MinConns {
		wrong = append(wrong, fmt.Errorf("DATABASE_SIDE_CONNS must be at least %d", pg.MinConns))
	}
	return wrong
}

// missing names what a service needs and was not told.
func (c Common) missing() error {
	var wrong []error
	if c.DatabaseURL == "" {
		wrong = append(wrong, errors.New("DATABASE_URL is required: postgres://user:password@host:5432/name"))
	}
	if c.Keyset == "" {
		wrong = append(wrong, errors.New("TOKEN_KEYSET or TOKEN_KEYSET_FILE is required: the keyset that seals the tokens"))
	}
	return errors.Join(wrong...)
}

func openDatabase(ctx context.Context, name string, c Common, log *zap.Logger) (*bun.DB, error) {
	return openPool(ctx, c, pg.Config{Application: "threads-" + name, MaxConns: c.DatabaseConns}, log)
}

// openPool opens a pool on the database that the settings name.
func openPool(ctx context.Context, c Common, pool pg.Config, log *zap.Logger) (*bun.DB, error) {
	if c.DatabaseURL == "" {
		return nil, fmt.Errorf("DATABASE_URL is required: postgres://user:password@host:5432/name")
	}
	address, err := withPassword(c.DatabaseURL, c.DatabasePassword)
	if err != nil {
		return nil, err
	}
	pool.URL = address
	return pg.Open(ctx, pool, log)
}

// withPassword puts a password into a database's URL that has none.
func withPassword(address, password string) (string, error) {
	if password == "" {
		return address, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("DATABASE_URL is not an address: postgres://user@host:5432/name") // the error would show it
	}
	if u.User == nil || u.User.Username() == "" {
		return "", errors.New("DATABASE_URL names no user, whom DATABASE_PASSWORD could belong to: postgres://user@host:5432/name")
	}
	if _, has := u.User.Password(); has {
		return "", errors.New("DATABASE_URL has a password, and DATABASE_PASSWORD is set too; set one")
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String(), nil
}

// liveVault is the vault of a process that goes on for long: a keyset in a file is taken anew when the file changes.
func liveVault(c Common, file string, log *zap.Logger) (*accounts.Vault, error) {
	if file == "" {
		return vault(c)
	}
	v, err := accounts.OpenVaultFile(file, log)
	if err != nil {
		return nil, fmt.Errorf("TOKEN_KEYSET_FILE: %w", err)
	}
	return v, nil
}

func vault(c Common) (*accounts.Vault, error) {
	v, err := accounts.OpenVault([]byte(c.Keyset))
	if err != nil {
		return nil, fmt.Errorf("TOKEN_KEYSET: %w", err)
	}
	return v, nil
}

// Migrate brings Postgres and NATS to this version: tables, streams, durables, buckets. It may run at any time, and again.
func Migrate(ctx context.Context, getenv func(string) string, log *zap.Logger, opts ...nats.Option) error {
	common, err := process.Env[Common](getenv)
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, "migrate", common, log)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	applied, err := pg.Migrate(ctx, db, log)
	if err != nil {
		return err
	}
	b, err := connect(ctx, "migrate", common, log, opts)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close(ctx) }()
	if err := bus.Declare(ctx, b, bus.Topology{Replicas: common.Replicas, EventsMaxAge: common.EventsMaxAge}); err != nil {
		return err
	}
	log.Info("database and streams are of this version", zap.Strings("migrations_applied", applied))
	return nil
}
