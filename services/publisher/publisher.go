// Package publisher takes posts from scheduling to outcome. A post's row judges what may happen to it; messages
// only say "look at it now"; what happened is told on EVENTS, and the projector writes the outcome from there.
//
// Follow a post through the files in this order: schedule.go (accepted), prepare.go (its container is built ahead
// of time), publish.go (the call at the second), confirm.go (whenever the answer is not clear), record.go (the
// outcome becomes the row). wake.go is the door to all of them, sweep.go the net under them.
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
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/limiter"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/services/publisher/draft"
	"github.com/omni-write/threads/services/publisher/engagement"
	"github.com/omni-write/threads/services/publisher/monitor"
	"github.com/omni-write/threads/services/publisher/ownercalls"
	"github.com/omni-write/threads/services/publisher/projector"
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
	cfg   Config
	bus   *bus.Bus
	db    *bun.DB
	store *posts.Store
	aside *posts.Store // see side; nil: store
	api   *threads.Client
	vault *vault.Vault
	log   *zap.Logger
	now   func() time.Time

	calls      *calls
	creations  *limiter.Limiter
	questions  *limiter.Limiter
	permalinks *limiter.Limiter
	inHand     inHand
	answers    *answers
	engagement *engagement.Service
	ownerCalls *ownercalls.Service
	// What every post in a rush needs of the database goes there together with that of the others: else a thousand
	// posts would queue for its few connections, one small statement each.
	postReads    *batch.Batcher[batch.Read[posts.Post]]
	accountReads *batch.Batcher[batch.Read[accounts.Account]]
	ownAccounts  *batch.Batcher[batch.Read[[]accounts.Account]]
	acceptances  *batch.Batcher[acceptance]
	drafts       *draft.Service
	claims       *batch.Batcher[posts.Claim]
	outcomes     *batch.Batcher[posts.Outcome]
	delays       *batch.Batcher[posts.Delayed]
	spacings     *batch.Batcher[spacing]
	links        *batch.Batcher[*posts.Post]
	projector    *projector.Projector
	monitor      *monitor.Monitor
	webhooks     *webhooks.Service
	emitted      emittedRevisions
	// What the passes of the sweep could not put right.
	unwoken, unarmed, unmarked, notEmitted putOff
	forgetting                             forgetting
	erased                                 tombstones
	readings                               *readings
}

// New makes a publisher. It does no I/O.
func New(cfg Config, d Deps) *Service {
	if d.Now == nil {
		d.Now = time.Now
	}
	d.Side = cmp.Or(d.Side, d.DB)
	s := &Service{
		cfg: cfg, bus: d.Bus, db: d.DB, api: d.Threads, vault: d.Vault, log: d.Log, now: d.Now,
		store: posts.NewStore(d.DB, cfg.Lease, cfg.SecondCallAfter),
		aside: posts.NewStore(d.Side, cfg.Lease, cfg.SecondCallAfter),
		calls: newCalls(cfg.CallsInFlight, 0, cfg.CallsPerAccount),
		// A quarter of the wake-ups in hand each at most: the last quarter is left to posts that are ready.
		creations:  limiter.NewShared(min(cfg.CreationsInFlight, cfg.wakes()/4), cfg.CreationsPerAccount),
		questions:  limiter.NewShared(cfg.wakes()/4, questionsPerAccount),
		permalinks: limiter.NewShared(cfg.wakes()/4, permalinksPerAccount),
		answers:    newAnswers(), emitted: newEmittedRevisions(),
		readings: newReadings(),
		ownerCalls: ownercalls.New(ownercalls.Config{ThrottleWait: cfg.ThrottleWait},
			ownercalls.Deps{Bus: d.Bus, DB: d.DB, Side: d.Side, Vault: d.Vault, Log: d.Log, Now: d.Now}),
	}
	s.creations.Farthest = farthestCreation
	s.delays = &batch.Batcher[posts.Delayed]{Size: delayBatch, AtOnce: 2, Work: s.store.Delay}
	s.spacings = &batch.Batcher[spacing]{Size: delayBatch, AtOnce: 1, Work: s.spaceOutBatch}
	s.postReads = &batch.Batcher[batch.Read[posts.Post]]{Size: readBatch, AtOnce: 2, Work: s.store.ReadMany}
	s.accountReads = &batch.Batcher[batch.Read[accounts.Account]]{Size: readBatch, AtOnce: 2, Work: s.readAccounts}
	s.ownAccounts = &batch.Batcher[batch.Read[[]accounts.Account]]{Size: readBatch, AtOnce: 2, Work: s.readOwn}
	s.projector = projector.New(cfg.Projector(), projector.Deps{Bus: d.Bus, DB: d.DB, Store: s.store, Log: d.Log, Now: d.Now})
	s.engagement = engagement.New(cfg.Engagement, engagement.Deps{
		Bus: d.Bus, DB: d.DB, Side: d.Side, Threads: d.Threads, Posts: s.store, Calls: s.ownerCalls,
		Apply: func(ctx context.Context, imported ...events.PostEvent) error {
			_, err := s.projector.ApplyAlone(ctx, imported...) // of one account, and nobody waits for any of them
			return err
		},
		Erased: s.erased.has, Ready: s.projector.IsCurrent, Busy: s.calls.busy, Log: d.Log, Now: d.Now,
	})
	s.drafts = draft.New(draft.Config{
		MediaNetworks: cfg.MediaNetworks, MediaPorts: cfg.MediaPorts, PublishWithin: cfg.PublishWithin, Timing: cfg.timing(),
	}, draft.Deps{DB: s.side().DB, Posts: s.side(), Limits: s.engagement.Forecast, Log: d.Log, Now: d.Now})
	s.acceptances = &batch.Batcher[acceptance]{Size: acceptBatch, AtOnce: 2, Work: s.acceptBatch}
	// One batch of claims at a time: two would only wait for each other's accounts.
	s.claims = &batch.Batcher[posts.Claim]{Size: claimBatch, AtOnce: 1, Work: func(ctx context.Context, batch []posts.Claim) []error {
		return s.store.Claim(ctx, batch, cfg.Spacing, s.now())
	}}
	s.outcomes = &batch.Batcher[posts.Outcome]{Size: noteBatch, AtOnce: 2, Work: s.store.SaveOutcomes}
	s.links = &batch.Batcher[*posts.Post]{Size: linkBatch, AtOnce: 2, Work: s.store.SavePermalinks}
	s.webhooks = webhooks.New(cfg.Webhooks, webhooks.Deps{Bus: d.Bus, DB: d.DB, Side: d.Side, Vault: d.Vault, Log: d.Log, Now: d.Now})
	s.monitor = monitor.New(monitor.Deps{
		DB: d.DB, Bus: d.Bus, Store: s.store, Projector: s.projector, Log: d.Log, Now: d.Now, SweepGrace: cfg.SweepGrace, StuckAfter: cfg.StuckAfter,
	})
	return s
}

// side is the store of what is not publishing: questions, and calls on behalf of owners. They must not take a connection from
// that.
func (s *Service) side() *posts.Store { return cmp.Or(s.aside, s.store) }

// Run works until ctx ends, then finishes what it has in hand.
func (s *Service) Run(ctx context.Context) error {
	if short := s.cfg.underFloor(); len(short) > 0 {
		s.log.Warn("waits are under their floor: right for a test, but against Threads a post could go out twice", zap.Strings("settings", short))
	}
	defer s.bus.Depends(s.db.PingContext)()
	if err := s.projector.Check(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop; the check begins anew at the next start
		}
		return err
	}
	commands := bus.NewHandlers()
	bus.OnCommand(commands, s.SchedulePost)
	bus.OnCommand(commands, s.PublishPost)
	bus.OnCommand(commands, s.EditPost)
	bus.OnCommand(commands, s.CancelPost)
	bus.OnCommand(commands, s.RetryPost)
	ownercalls.On(s.ownerCalls, commands, s.DeletePost, s.madeElsewhere)
	ownercalls.On(s.ownerCalls, commands, s.ResolvePost, saidToBeLive)
	ownercalls.On(s.ownerCalls, commands, s.engagement.ImportHistory, nil)
	ownercalls.On(s.ownerCalls, commands, s.engagement.HideReply, nil)
	ownercalls.On(s.ownerCalls, commands, s.engagement.ApproveReply, nil)
	commands.OnDead(s.Dead)

	due := bus.NewHandlers()
	due.OnWake(events.PostDue("*"), s.Wake)
	due.OnWake(events.PostTickDue, s.Tick)

	callPlaces.Set(float64(cap(s.calls.slots)))
	if err := s.answer(); err != nil {
		return err
	}

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return s.bus.Handle(ctx, events.PublisherCommands, commands, bus.HandleOptions{Concurrency: pg.Slots(s.db, 64)})
	})
	g.Go(func() error {
		// Until EVENTS is applied no wake-up could be worked on: it is left to another process.
		for !s.projector.IsCurrent() {
			if !clock.Sleep(ctx, 20*time.Millisecond) {
				return nil
			}
		}
		return s.bus.Handle(ctx, events.PublisherDue, due, bus.HandleOptions{Concurrency: s.cfg.wakes(), Prefetch: min(256, s.cfg.wakes())})
	})
	g.Go(func() error { return s.projector.KeepAlive(ctx) })
	g.Go(func() error { return s.ownerCalls.Run(ctx) })
	g.Go(func() error { return s.webhooks.Run(ctx) })
	g.Go(func() error {
		if err := s.projector.CatchUp(ctx); err != nil {
			return err
		}
		return s.projector.Run(ctx)
	})
	g.Go(func() error { return s.sweep(ctx) })
	g.Go(func() error { return s.engagement.CollectInsights(ctx) })
	g.Go(func() error { return s.erase(ctx) })
	g.Go(func() error { return s.monitor.Run(ctx) })
	stopped := make(chan time.Time, 1)
	context.AfterFunc(ctx, func() { stopped <- time.Now() })
	err := g.Wait()
	s.answers.finish(answersEnd - time.Since(<-stopped))
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("publisher: %w", err)
	}
	return nil
}

// How many posts are read, accepted, claimed, noted and applied together.
const (
	readBatch   = 256
	acceptBatch = 128
	claimBatch  = 256
	noteBatch   = 256
	delayBatch  = 256
	linkBatch   = 256
)

// Tick hears the tick of POST_ALARMS and needs to do nothing: that it goes off is what keeps JetStream's timer from
// sleeping through a step of the clock.
func (*Service) Tick(context.Context, bus.Delivery, string) error {
	lastTick.SetToCurrentTime()
	return nil
}

// Ready says why the publisher should not be relied on, or nil.
func (s *Service) Ready(ctx context.Context) error {
	if !s.projector.IsCurrent() {
		return errors.New("EVENTS is still being applied to Postgres; posts go out when that is done")
	}
	if err := s.db.PingContext(ctx); err != nil {
		return fmt.Errorf("postgres does not answer: %w", err)
	}
	if err := s.bus.Healthy(ctx); err != nil {
		return err
	}
	return s.monitor.Stuck()
}
