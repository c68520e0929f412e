// Package publisher takes posts from scheduling to outcome. A post's row judges what may happen to it; messages
// only say "look at it now"; what happened is emitted on EVENTS, and the projector writes the outcome from there.
//
// This package says which command, wake-up and question goes to which method, and runs what must run. What happens to a post is
// in package delivery.
package publisher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/services/publisher/delivery"
	"github.com/omni-write/threads/services/publisher/draft"
	"github.com/omni-write/threads/services/publisher/engagement"
	"github.com/omni-write/threads/services/publisher/erasure"
	"github.com/omni-write/threads/services/publisher/monitor"
	"github.com/omni-write/threads/services/publisher/ownercalls"
	"github.com/omni-write/threads/services/publisher/projector"
	"github.com/omni-write/threads/services/publisher/questions"
	"github.com/omni-write/threads/services/publisher/webhooks"
)

// Deps is what a publisher works with.
type Deps struct {
	Bus     *bus.Bus
	DB      *bun.DB
	Side    *bun.DB // a pool of its own for questions and for calls on behalf of owners; nil: DB
	Threads *threads.Client
	Vault   *vault.Vault
	Log     *zap.Logger
	Now     func() time.Time // nil: time.Now
}

// Service is a publisher. Any number of them may run on one database and one set of streams.
type Service struct {
	// What it is made of.
	Delivery   *delivery.Delivery
	Engagement *engagement.Service
	Monitor    *monitor.Monitor
	Erasure    *erasure.Eraser
	OwnerCalls *ownercalls.Service
	Questions  *questions.Service
	Projector  *projector.Projector
	drafts     *draft.Service
	webhooks   *webhooks.Service

	cfg Config
	bus *bus.Bus
	db  *bun.DB
	log *zap.Logger
}

// New makes a publisher. It does no I/O.
func New(cfg Config, d Deps) *Service {
	if d.Now == nil {
		d.Now = time.Now
	}
	d.Side = cmp.Or(d.Side, d.DB)
	store := posts.NewStore(d.DB, cfg.Lease, cfg.SecondCallAfter)
	// Questions, and calls on behalf of owners, must not take a connection from publishing.
	aside := posts.NewStore(d.Side, cfg.Lease, cfg.SecondCallAfter)
	s := &Service{cfg: cfg, bus: d.Bus, db: d.DB, log: d.Log}
	s.OwnerCalls = ownercalls.New(ownercalls.Config{ThrottleWait: cfg.ThrottleWait},
		ownercalls.Deps{Bus: d.Bus, DB: d.DB, Side: d.Side, Vault: d.Vault, Log: d.Log, Now: d.Now})
	s.Projector = projector.New(cfg.Projector(), projector.Deps{Bus: d.Bus, DB: d.DB, Store: store, Log: d.Log, Now: d.Now})
	s.drafts = draft.New(draft.Config{
		MediaNetworks: cfg.MediaNetworks, MediaPorts: cfg.MediaPorts, PublishWithin: cfg.PublishWithin, Timing: cfg.Timing(),
		FetchesPerMinute: cfg.FetchesPerMinute, FetchedPerMinute: cfg.FetchedPerMinute, QueuedPerAccount: cfg.QueuedPerAccount,
	}, draft.Deps{
		DB: d.Side, Posts: aside, Log: d.Log, Now: d.Now,
		Limits: func(ctx context.Context, account accounts.Account, at, now time.Time) (asks.Limits, error) {
			return s.Engagement.Forecast(ctx, account, at, now)
		},
	})
	s.webhooks = webhooks.New(cfg.Webhooks, webhooks.Deps{Bus: d.Bus, DB: d.DB, Side: d.Side, Vault: d.Vault, Log: d.Log, Now: d.Now})
	s.Monitor = monitor.New(monitor.Deps{
		DB: d.DB, Side: d.Side, Bus: d.Bus, Store: store, Projector: s.Projector, Log: d.Log, Now: d.Now, SweepGrace: cfg.SweepGrace, StuckAfter: cfg.StuckAfter,
	})
	s.Erasure = erasure.New(erasure.Deps{
		Bus: d.Bus, DB: d.DB, Store: store, OwnerCalls: s.OwnerCalls, Webhooks: s.webhooks, Log: d.Log, Now: d.Now, Every: cfg.SweepEvery,
	})
	s.Questions = questions.New(aside, s.OwnerCalls, cfg.LateAfter)
	s.Delivery = delivery.New(cfg.Config, delivery.Deps{
		Bus: d.Bus, DB: d.DB, Store: store, Threads: d.Threads, Vault: d.Vault, Drafts: s.drafts, Projector: s.Projector,
		OwnerCalls: s.OwnerCalls, Erased: s.Erasure.Erased, Monitor: s.Monitor, Log: d.Log, Now: d.Now,
	})
	s.Engagement = engagement.New(cfg.Engagement, engagement.Deps{
		Bus: d.Bus, DB: d.DB, Side: d.Side, Threads: d.Threads, Posts: store, Calls: s.OwnerCalls,
		Apply: func(ctx context.Context, imported ...events.PostEvent) error {
			_, err := s.Projector.ApplyAlone(ctx, imported...) // of one account, and nobody waits for any of them
			return err
		},
		Erased: s.Erasure.Erased, Ready: s.Projector.IsCurrent, Busy: s.Delivery.Busy, Log: d.Log, Now: d.Now,
	})
	return s
}

// commandsInHand is how many commands a process works on at once. New posts are written in batches, so that is far more than it has
// connections. Fewer are fetched ahead: a command may have half a mebibyte.
const (
	commandsInHand = 256
	commandsAhead  = 64
)

// Run works until ctx ends, then finishes what it has in hand.
func (s *Service) Run(ctx context.Context) error {
	if short := s.cfg.UnderFloor(); len(short) > 0 {
		s.log.Warn("waits are under their floor: right for a test, but against Threads a post could go out twice", zap.Strings("settings", short))
	}
	defer s.bus.Depends(s.db.PingContext)()
	if err := s.Projector.Check(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop; the check begins anew at the next start
		}
		return err
	}
	s.Delivery.Begin()
	if err := s.answer(); err != nil {
		return err
	}

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return s.bus.Handle(ctx, events.PublisherCommands, s.commands(), bus.HandleOptions{Concurrency: commandsInHand, Prefetch: commandsAhead})
	})
	g.Go(func() error {
		// Until EVENTS is applied no wake-up could be worked on: it is left to another process.
		for !s.Projector.IsCurrent() {
			if !clock.Sleep(ctx, 20*time.Millisecond) {
				return nil
			}
		}
		return s.bus.Handle(ctx, events.PublisherDue, s.due(), bus.HandleOptions{Concurrency: s.cfg.Wakes(), Prefetch: min(256, s.cfg.Wakes())})
	})
	g.Go(func() error { return s.Projector.KeepAlive(ctx) })
	g.Go(func() error { return s.OwnerCalls.Run(ctx) })
	g.Go(func() error { return s.webhooks.Run(ctx) })
	g.Go(func() error {
		if err := s.Projector.CatchUp(ctx); err != nil {
			return err
		}
		return s.Projector.Run(ctx)
	})
	g.Go(func() error { return s.Delivery.Sweep(ctx) })
	g.Go(func() error { return s.Delivery.WorkOffBacklog(ctx) })
	g.Go(func() error { return s.Engagement.CollectInsights(ctx) })
	g.Go(func() error { return s.Erasure.Run(ctx) })
	g.Go(func() error { return s.Monitor.Run(ctx) })
	stopped := make(chan time.Time, 1)
	context.AfterFunc(ctx, func() { stopped <- time.Now() })
	err := g.Wait()
	s.Delivery.Finish(<-stopped)
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("publisher: %w", err)
	}
	return nil
}

// Ready says why the publisher should not be relied on, or nil.
func (s *Service) Ready(ctx context.Context) error {
	if !s.Projector.IsCurrent() {
		return errors.New("EVENTS is still being applied to Postgres; posts go out when that is done")
	}
	if err := s.db.PingContext(ctx); err != nil {
		return fmt.Errorf("postgres does not answer: %w", err)
	}
	if err := s.bus.Healthy(ctx); err != nil {
		return err
	}
	return s.Monitor.Stuck()
}
