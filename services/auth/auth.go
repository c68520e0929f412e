// Package auth connects people's Threads accounts and takes them away again. It is the one service that holds the app
// secret. What must never be stored (an OAuth code, a ticket, a cookie) reaches it as an ask, which no stream records.
package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
)

// Deps is what auth works with.
type Deps struct {
	Bus     *bus.Bus
	DB      *bun.DB
	Threads *threads.Client // made from Config.Threads
	Vault   *vault.Vault
	Log     *zap.Logger
	Now     func() time.Time // nil: time.Now
}

// Service is an auth. Any number of them may run side by side.
type Service struct {
	cfg   Config
	bus   *bus.Bus
	db    *bun.DB
	api   *threads.Client
	vault *vault.Vault
	log   *zap.Logger
	now   func() time.Time

	tickets singleUse[ticketHolder]
	states  singleUse[oauthFlow]

	// toErase asks for a look at what is to be erased.
	toErase chan struct{}

	serving atomic.Bool
	// inHand is read-locked by every question in hand; Run locks it to wait for them.
	inHand sync.RWMutex
}

// New makes an auth. It does no I/O.
func New(cfg Config, d Deps) *Service {
	if d.Now == nil {
		d.Now = time.Now
	}
	return &Service{
		cfg: cfg, bus: d.Bus, db: d.DB, api: d.Threads, vault: d.Vault, log: d.Log, now: d.Now,
		toErase: make(chan struct{}, 1),
	}
}

// Run works until ctx ends, then finishes what it has in hand.
func (s *Service) Run(ctx context.Context) error {
	defer s.bus.Depends(s.db.PingContext)()
	if err := s.open(ctx); err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	if s.cfg.EraseAgainAfter < eraseFloor {
		s.log.Warn("AUTH_ERASE_AGAIN_AFTER is under its floor: right for a test only", zap.Duration("floor", eraseFloor))
	}
	commands := bus.NewHandlers()
	bus.OnCommand(commands, s.Disconnect)

	err := errors.Join(
		answer(s, s.IssueTicket),
		answer(s, s.RedeemTicket),
		answer(s, s.ListAccountIDs),
		answer(s, s.VerifyWebhook),
		answer(s, s.ReceiveWebhook),
		answer(s, s.BeginOAuth),
		answer(s, s.FinishOAuth),
		answer(s, s.ReturnOAuth),
		answer(s, s.ConfirmOAuth),
		answer(s, s.ListConnections),
		answer(s, s.GetProfile, bus.Bounds{AtOnce: 64}), // Threads is asked
		answer(s, s.ReceiveUninstall),
		answer(s, s.ReceiveDataDeletion),
		answer(s, s.GetErasure),
	)
	if err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	s.serving.Store(true)

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return s.bus.Handle(ctx, events.AuthCommands, commands, bus.HandleOptions{Concurrency: pg.Slots(s.db, 16)})
	})
	g.Go(func() error { return s.emitMissing(ctx) })
	g.Go(func() error { return s.erase(ctx) })
	err = g.Wait()
	s.serving.Store(false)
	s.finishAnswers()
	if err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	return nil
}

// open finds the buckets, which migrate has made.
func (s *Service) open(ctx context.Context) error {
	js := s.bus.JetStream()
	var err error
	if s.tickets.kv, err = js.KeyValue(ctx, events.BucketTickets); err != nil {
		return fmt.Errorf("open bucket %s: %w", events.BucketTickets, err)
	}
	if s.states.kv, err = js.KeyValue(ctx, events.BucketOAuthStates); err != nil {
		return fmt.Errorf("open bucket %s: %w", events.BucketOAuthStates, err)
	}
	return nil
}

// Ready says why auth should not be relied on, or nil.
func (s *Service) Ready(ctx context.Context) error {
	if !s.serving.Load() {
		return errors.New("not answering questions yet")
	}
	if err := s.db.PingContext(ctx); err != nil {
		return fmt.Errorf("postgres does not answer: %w", err)
	}
	return s.bus.Healthy(ctx)
}

// answer registers fn, so that Run can wait for the questions in hand: an OAuth flow that is cut short costs a person
// a new beginning.
func answer[Q asks.Question, A any](s *Service, fn func(context.Context, Q) (A, error), bounds ...bus.Bounds) error {
	return bus.Answer(s.bus, func(ctx context.Context, q Q) (a A, err error) {
		if !s.inHand.TryRLock() { // fails only while Run waits, or has waited
			return a, events.Faultf(events.Unavailable, "This part is just restarting; please try again in a moment.")
		}
		defer s.inHand.RUnlock()
		return fn(ctx, q)
	}, bounds...)
}

// drainLimit is how long Run waits for the questions in hand.
const drainLimit = 20 * time.Second

func (s *Service) finishAnswers() {
	done := make(chan struct{})
	go func() { s.inHand.Lock(); close(done) }()
	select {
	case <-done:
	case <-time.After(drainLimit):
		s.log.Warn("questions left in hand")
	}
}
