package boot

import (
	"context"
	"net"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/auth"
	"github.com/omni-write/threads/services/gateway"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/tokenkeeper"
)

// Service is one service, put together from the environment: the same way in a process of its own as in
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
		"gateway": GatewayAt(nil, false), "auth": buildAuth, "publisher": PublisherBy(nil), "tokenkeeper": buildTokenkeeper,
	}
}

// GatewayAt builds a gateway that listens at l; nil: at its HOST and PORT. devTokens says that its issuer is the one of dev tokens in
// this process. No setting says so: whoever runs a gateway by itself cannot have their people's tokens shown by mistake.
func GatewayAt(l net.Listener, devTokens bool) Builder {
	return func(ctx context.Context, getenv func(string) string, log *zap.Logger, opts ...nats.Option) (Service, error) {
		cfg, err := gateway.ConfigFromEnv(getenv)
		if err != nil {
			return Service{}, err
		}
		r, err := reach(ctx, "gateway", getenv, log, false, opts)
		if err != nil {
			return Service{}, err
		}
		s, err := gateway.New(cfg, gateway.Deps{Bus: r.bus, Listener: l, Log: r.log, DevTokens: devTokens})
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
