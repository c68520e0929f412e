// Package tokenkeeper keeps the tokens of connected accounts alive. A long-lived token lives 60 days and refreshes
// itself; one that is missed is lost, and its owner must connect again. So every account has an alarm, a sweep looks
// daily at those whose alarm was lost, and nothing but a clear word from Threads ends a connection.
package tokenkeeper

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
)

// Deps is what a tokenkeeper works with.
type Deps struct {
	Bus     *bus.Bus
	DB      *bun.DB
	Threads *threads.Client // made from Config.Threads
	Vault   *vault.Vault
	Log     *zap.Logger
	Now     func() time.Time // nil: time.Now
}

// Service is a tokenkeeper. Any number of them may run side by side; the row's lease settles who refreshes.
type Service struct {
	cfg   Config
	bus   *bus.Bus
	db    *bun.DB
	api   *threads.Client
	vault *vault.Vault
	log   *zap.Logger
	now   func() time.Time

	lastTick atomic.Int64 // unix nanoseconds
}

// New makes a tokenkeeper. It does no I/O.
func New(cfg Config, d Deps) *Service {
	if d.Now == nil {
		d.Now = time.Now
	}
	return &Service{cfg: cfg, bus: d.Bus, db: d.DB, api: d.Threads, vault: d.Vault, log: d.Log, now: d.Now}
}

// Run works until ctx ends, then finishes what it has in hand.
func (s *Service) Run(ctx context.Context) error {
	defer s.bus.Depends(s.db.PingContext)()
	commands := bus.NewHandlers()
	bus.OnCommand(commands, s.RefreshToken)

	accountEvents := bus.NewHandlers()
	bus.OnEvent(accountEvents, s.AccountConnected)
	bus.OnEvent(accountEvents, s.TokenRefreshed)
	bus.OnEvent(accountEvents, s.AccountDisconnected)
	bus.OnEvent(accountEvents, s.AccountReconnectRequired)
	bus.OnEvent(accountEvents, s.AccountErased)

	due := bus.NewHandlers()
	due.OnWake(events.TokenDue("*"), s.Due)
	due.OnWake(events.TokenSweepDue, s.Sweep)
	due.OnWake(events.TokenTickDue, s.Tick)

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return s.bus.Handle(ctx, events.TokenkeeperCommands, commands, bus.HandleOptions{Concurrency: pg.Slots(s.db, 16)})
	})
	g.Go(func() error {
		return s.bus.Handle(ctx, events.TokenkeeperAccounts, accountEvents, bus.HandleOptions{Concurrency: 16})
	})
	g.Go(func() error { return s.bus.Handle(ctx, events.TokenkeeperDue, due, bus.HandleOptions{Concurrency: 16}) })
	g.Go(func() error { return s.sweepAtStart(ctx) })
	g.Go(func() error { return s.resealAll(ctx) })
	g.Go(func() error { return s.measure(ctx) })
	if err := g.Wait(); err != nil {
		return fmt.Errorf("tokenkeeper: %w", err)
	}
	return nil
}

// Tick notes that the alarm clock of JetStream is alive.
func (s *Service) Tick(context.Context, bus.Delivery, string) error {
	s.lastTick.Store(s.now().UnixNano())
	lastTick.SetToCurrentTime()
	return nil
}

// LastTick is when the alarm clock last showed that it is alive; the zero time before it did.
func (s *Service) LastTick() time.Time {
	if at := s.lastTick.Load(); at != 0 {
		return time.Unix(0, at).UTC()
	}
	return time.Time{}
}

// Ready says why the tokenkeeper should not be relied on, or nil.
func (s *Service) Ready(ctx context.Context) error {
	if err := s.db.PingContext(ctx); err != nil {
		return fmt.Errorf("postgres does not answer: %w", err)
	}
	return s.bus.Healthy(ctx)
}
