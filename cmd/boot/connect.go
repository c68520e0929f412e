package boot

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/vault"
)

// reached is what a service is connected to.
type reached struct {
	name  string
	log   *zap.Logger
	bus   *bus.Bus
	db    *bun.DB
	side  *bun.DB // nil: none
	vault *vault.Vault
}

// needs are the streams and durables that a service cannot work without, and the streams that it tries to store on.
var needs = map[string]struct{ streams, durables, tries []string }{
	"gateway":     {[]string{events.StreamCommands, events.StreamEvents}, nil, []string{events.StreamCommands}},
	"auth":        {[]string{events.StreamCommands, events.StreamEvents, events.StreamTokenAlarms, events.StreamDead}, []string{events.AuthCommands}, nil},
	"publisher":   {[]string{events.StreamCommands, events.StreamEvents, events.StreamPostAlarms, events.StreamDead}, []string{events.PublisherCommands, events.PublisherDue, events.PublisherProjector, events.PublisherWebhooks}, []string{events.StreamPostAlarms}},
	"tokenkeeper": {[]string{events.StreamCommands, events.StreamEvents, events.StreamTokenAlarms, events.StreamDead}, []string{events.TokenkeeperCommands, events.TokenkeeperAccounts, events.TokenkeeperDue}, []string{events.StreamTokenAlarms}},
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
		if err = common.Missing(); err != nil {
			return r, err
		}
		if r.vault, err = liveVault(common, getenv("TOKEN_KEYSET_FILE"), r.log); err != nil {
			return r, err
		}
		if r.db, err = openPool(ctx, common, pg.Config{
			Application: "threads-" + name, MaxConns: common.DatabaseConns, ByKey: name == "publisher", IdleInTransaction: silentInTransaction,
		}, r.log); err != nil {
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
	if r.bus, err = Connect(ctx, name, common, r.log, opts); err != nil {
		return r, err
	}
	if err := bus.Verify(ctx, r.bus, needs[name].streams, needs[name].durables); err != nil {
		return r, err
	}
	r.bus.KeepTrying(needs[name].tries...)
	if name == "publisher" {
		r.bus.SweepTries()
	}
	return r, nil
}

// silentInTransaction is how long a service that stands still in a transaction keeps others from the accounts and posts that it has
// locked. In none of its transactions does it wait for anything but Postgres.
const silentInTransaction = 5 * time.Second

// askedWithin bounds a statement of a question: its asker waits no longer.
const askedWithin = 5 * time.Second

// openSide opens the second pool of a service.
func (r *reached) openSide(ctx context.Context, getenv func(string) string) error {
	common, err := process.Env[Common](getenv)
	if err != nil {
		return err
	}
	r.side, err = openPool(ctx, common, pg.Config{
		Application: "threads-" + r.name + "-side", MaxConns: common.DatabaseSideConns, StatementTimeout: askedWithin, IdleInTransaction: silentInTransaction,
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

func Connect(ctx context.Context, name string, c Common, log *zap.Logger, opts []nats.Option) (*bus.Bus, error) {
	return bus.Connect(ctx, bus.Config{
		URL: c.NATSURL, Name: name, Options: opts, Log: log,
		Identity: bus.Identity{
			User: c.NATSUser, Password: c.NATSPassword, Credentials: c.NATSCredentials, NKey: c.NATSNKey,
			CA: c.NATSCA, Cert: c.NATSCert, Key: c.NATSKey,
		},
	})
}
