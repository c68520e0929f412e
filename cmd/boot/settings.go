package boot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/process"
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
	// DatabaseRoles is a directory with the passwords of the services' own roles, postgres_password_auth and so on: migrate makes
	// those roles, each with the rights that its service needs. Empty: it makes none, and gives those that are there their rights.
	// Read by migrate.
	DatabaseRoles string `env:"DATABASE_ROLES_DIR"`
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
	// EventsMaxAge is how long events are kept on EVENTS. Empty: for ever. Read by migrate and doctor.
	EventsMaxAge time.Duration `env:"EVENTS_MAX_AGE"`
	// LogLevel is how much is logged, LogFormat how it is written. One of debug, info, warn and error; one of json and console
	// (empty: console at a terminal, else json).
	LogLevel  string `env:"LOG_LEVEL" envDefault:"info"`
	LogFormat string `env:"LOG_FORMAT"`
	// MemoryLimit is Go's own: what the memory of a process is kept under, as far as it can be, as 900MiB. Empty: 160 MiB or,
	// where that is more, one and a half times what lives, and nine tenths of what its container may have at most.
	MemoryLimit string `env:"GOMEMLIMIT"`
	// OTLP is where an OpenTelemetry collector takes spans over HTTP, as http://collector:4318; OTLPTraces is the same
	// with its path, as http://collector:4318/v1/traces. Empty: no spans are made. OTelName is this process' name in them
	// (default: omni-write-gateway and so on).
	OTLP       string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
	OTLPTraces string `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"`
	OTelName   string `env:"OTEL_SERVICE_NAME"`
}

// Mistakes names what is not valid.
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
func (c Common) Missing() error {
	var wrong []error
	if c.DatabaseURL == "" {
		wrong = append(wrong, errors.New("DATABASE_URL is required: postgres://user:password@host:5432/name"))
	}
	if c.Keyset == "" {
		wrong = append(wrong, errors.New("TOKEN_KEYSET or TOKEN_KEYSET_FILE is required: the keyset that seals the tokens"))
	}
	return errors.Join(wrong...)
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

// CheckSettings holds the settings of all services against their rules, and connects to nothing. All mistakes come back at once,
// each once.
func CheckSettings(getenv func(string) string) error {
	common, err := process.Env[Common](getenv)
	_, ofGateway := gateway.ConfigFromEnv(getenv)
	_, ofAuth := auth.ConfigFromEnv(getenv)
	_, ofPublisher := publisher.ConfigFromEnv(getenv)
	_, ofTokenkeeper := tokenkeeper.ConfigFromEnv(getenv)
	wrong := []error{err, ofGateway, ofAuth, ofPublisher, ofTokenkeeper}
	if err == nil && common.DatabaseURL != "" {
		wrong = append(wrong, checkDatabase(common))
	}
	if err == nil && common.Keyset != "" {
		_, err := OpenVault(common)
		wrong = append(wrong, err)
	}
	var lines []string
	for line := range strings.Lines(fmt.Sprint(errors.Join(wrong...))) {
		if line = strings.TrimSpace(line); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if errors.Join(wrong...) == nil {
		return nil
	}
	return errors.New(strings.Join(lines, "\n"))
}

func checkDatabase(c Common) error {
	address, err := withPassword(c.DatabaseURL, c.DatabasePassword)
	if err == nil {
		err = pg.Config{URL: address}.Check()
	}
	if err != nil && !strings.HasPrefix(err.Error(), "DATABASE_URL") {
		err = fmt.Errorf("DATABASE_URL: %w", err)
	}
	return err
}
