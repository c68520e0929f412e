// Package webhooks delivers events to the webhooks of users: signed, over the public internet, retried for days, and without
// one that is down holding up the others. A delivery is a row before its event is acknowledged, so none is lost; what was
// delivered may be delivered again, under the same id.
package webhooks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/vault"
)

// Deps are what the webhooks need.
type Deps struct {
	Bus   *bus.Bus
	DB    *bun.DB
	Side  *bun.DB // for questions; nil: DB
	Vault *vault.Vault
	Log   *zap.Logger
	Now   func() time.Time
}

// Service keeps and serves webhooks. Any number of them may run on one database.
type Service struct {
	cfg       Config
	bus       *bus.Bus
	db        *bun.DB
	side      *bun.DB
	vault     *vault.Vault
	log       *zap.Logger
	now       func() time.Time
	addresses addressRules
	client    *http.Client

	nudge    chan struct{} // there may be something to deliver
	running  sync.WaitGroup
	mu       sync.Mutex
	inFlight map[string]int // deliveries under way, by webhook
	healthy  int            // of those, to webhooks that work
	failing  int            // and to those that do not
}

// New makes the webhooks. It does no I/O.
func New(cfg Config, d Deps) *Service {
	s := &Service{
		cfg: cfg, bus: d.Bus, db: d.DB, side: cmp.Or(d.Side, d.DB), vault: d.Vault, log: d.Log, now: d.Now,
		addresses: newAddressRules(cfg.AllowLoopback), nudge: make(chan struct{}, 1), inFlight: map[string]int{},
	}
	s.client = s.addresses.newClient(cfg.Timeout)
	return s
}

// Run works until ctx ends, and finishes the deliveries under way.
func (s *Service) Run(ctx context.Context) error {
	if short := s.cfg.UnderFloor(); len(short) > 0 {
		s.log.Warn("waits of webhooks are under their floor: right for a test only", zap.Strings("settings", short))
	}
	if err := s.answerQuestions(); err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.read(ctx) })
	g.Go(func() error { return s.deliver(ctx) })
	g.Go(func() error { return s.prune(ctx) })
	err := g.Wait()
	s.running.Wait()
	s.client.CloseIdleConnections()
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("webhooks: %w", err)
	}
	return nil
}

// wake has the table searched for due deliveries now.
func (s *Service) wake() {
	select {
	case s.nudge <- struct{}{}:
	default: // that is asked for already
	}
}

// pruneEvery is how often old deliveries are forgotten.
const pruneEvery = time.Hour

// prune deletes deliveries that are older than Config.Keep.
func (s *Service) prune(ctx context.Context) error {
	for {
		if err := s.deleteOld(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("old deliveries could not be deleted", zap.Error(err))
		}
		if !clock.Sleep(ctx, pruneEvery) {
			return nil
		}
	}
}
