// Package ownercalls makes calls to Threads on behalf of an owner, besides publishing: what an owner asks to read, to moderate, to
// delete or to import. They have slots of their own, and few, so that no flood of them takes one from a post. A question has its
// call made while the asker waits (Do); a command waits in the table owner_calls until a worker is free (On, Run).
package ownercalls

import (
	"cmp"
	"context"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/vault"
)

// Config is how calls on behalf of owners are made.
type Config struct {
	// ThrottleWait is how long a throttled call waits when Threads does not say.
	ThrottleWait time.Duration
}

// Deps are what the calls need.
type Deps struct {
	Bus   *bus.Bus
	DB    *bun.DB
	Side  *bun.DB // for what must take no connection from publishing; nil: DB
	Vault *vault.Vault
	Log   *zap.Logger
	Now   func() time.Time
}

// Service makes calls on behalf of owners.
type Service struct {
	cfg      Config
	bus      *bus.Bus
	db, side *bun.DB
	vault    *vault.Vault
	log      *zap.Logger
	now      func() time.Time
	slots    slots
	handlers map[string]func(context.Context, bus.Delivery, []byte) (any, error) // of queued commands, by type
	nudge    chan struct{}                                                       // there may be a queued call
}

// New makes the calls' service. It does no I/O.
func New(cfg Config, d Deps) *Service {
	return &Service{
		cfg: cfg, bus: d.Bus, db: d.DB, side: cmp.Or(d.Side, d.DB), vault: d.Vault, log: d.Log, now: d.Now, slots: newSlots(),
		handlers: map[string]func(context.Context, bus.Delivery, []byte) (any, error){}, nudge: make(chan struct{}, 1),
	}
}

// wake has the table searched for calls that are due now.
func (s *Service) wake() {
	select {
	case s.nudge <- struct{}{}:
	default: // that is asked for already
	}
}

// Once does a command once whose work is a call to Threads, and changes no row of ours.
func (s *Service) Once(ctx context.Context, d bus.Delivery, cmd events.Command, call func(context.Context) (any, error)) (any, error) {
	prior, result, err := commands.OnceByCall(ctx, s.db, commands.New(d.Meta, cmd, ""), s.now, call)
	if prior != nil {
		return prior.Answer()
	}
	return result, err
}
