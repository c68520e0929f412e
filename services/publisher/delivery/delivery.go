// Package delivery brings posts from their acceptance to their outcome: accept, prepare, publish, confirm, conclude, delete, what
// owners change meanwhile, and the sweep that finds what was left undone.
//
// Follow a post through the files in this order: accept.go, prepare.go (its container is built ahead of time), publish.go (the
// call at the second), conclude.go (the answer is written and emitted, the latter from backlog.go in a rush), confirm.go (whenever the answer
// is not clear). wake.go has each of them done when the row says so; sweep.go wakes what nobody woke. Each type names what it works
// with, and none works with one that comes after it in New.
package delivery

import (
	"context"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/limiter"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/services/publisher/delivery/find"
	"github.com/omni-write/threads/services/publisher/delivery/pace"
	"github.com/omni-write/threads/services/publisher/draft"
	"github.com/omni-write/threads/services/publisher/links"
	"github.com/omni-write/threads/services/publisher/monitor"
	"github.com/omni-write/threads/services/publisher/ownercalls"
	"github.com/omni-write/threads/services/publisher/projector"
)

// Deps is what the delivery of posts works with.
type Deps struct {
	Bus        *bus.Bus
	DB         *bun.DB
	Store      *posts.Store
	Threads    *threads.Client
	Vault      *vault.Vault
	Drafts     *draft.Service
	Projector  *projector.Projector
	OwnerCalls *ownercalls.Service
	Erased     func(accountID string) bool
	Monitor    *monitor.Monitor
	Log        *zap.Logger
	Now        func() time.Time
}

// Delivery brings posts from their acceptance to their outcome.
type Delivery struct {
	*accepter
	*owners
	*waker
	*sweeper

	// Singles are the places of commands that are worked one by one, each with a connection. New posts do not wait for them.
	Singles *semaphore.Weighted

	db        *bun.DB
	store     *posts.Store
	calls     *pace.Calls
	answers   *answers
	outbox    *outbox
	moves     *moves
	doubts    *doubts
	concluder *concluder
	log       *zap.Logger
	now       func() time.Time
}

// New puts the parts together, in the order in which they depend on each other. It does no I/O.
//
// What every post in a rush needs of the database goes there together with that of the others: else a thousand posts would
// queue for its few connections, one small statement each.
func New(cfg Config, d Deps) *Delivery {
	store, now, log := d.Store, d.Now, d.Log
	conns := int64(pg.Slots(d.DB, 64))
	accountReads := &batch.Batcher[batch.Read[accounts.Account]]{Size: readBatch, AtOnce: 2, Work: readAccounts(d.DB)}
	calls := pace.NewCalls(cfg.CallsInFlight, 0, cfg.CallsPerAccount)
	answers := newAnswers()

	alarms := &alarms{cfg: cfg, bus: d.Bus, now: now}
	outbox := &outbox{bus: d.Bus, db: d.DB, store: store, erased: d.Erased, emitted: newEmittedRevisions(), log: log, now: now}
	moves := &moves{
		db: d.DB, store: store, alarms: alarms, outbox: outbox, log: log, now: now,
		steps: &batch.Batcher[posts.Step]{Size: stepBatch, AtOnce: 2, Work: store.SaveSteps},
	}
	tokens := &tokens{bus: d.Bus, db: d.DB, vault: d.Vault, accountReads: accountReads, log: log, now: now}
	quotas := &quotas{cfg: cfg, api: d.Threads, db: d.DB, now: now}
	leases := &leases{
		cfg: cfg, store: store, now: now,
		taken: &batch.Batcher[posts.LeaseWanted]{Size: leaseBatch, AtOnce: 2, Work: store.AcquireLeases},
	}
	references := &references{db: d.DB, store: store, now: now}
	doubts := &doubts{moves: moves, log: log, now: now}
	permalinks := &permalinks{
		cfg: cfg, links: links.New(d.Threads, now), db: d.DB, store: store, tokens: tokens, moves: moves, ownerCalls: d.OwnerCalls, accountReads: accountReads,
		places: limiter.NewShared(cfg.Wakes()/4, permalinksPerAccount), log: log, now: now,
	}
	concluder := &concluder{
		cfg: cfg, bus: d.Bus, db: d.DB, store: store, calls: calls, backlog: pace.NewBacklog(), projector: d.Projector, outbox: outbox, moves: moves, doubts: doubts, permalinks: permalinks,
		outcomes: &batch.Batcher[posts.Outcome]{Size: noteBatch, AtOnce: 2, Work: store.SaveOutcomes}, log: log, now: now,
	}
	waits := &waits{
		cfg: cfg, db: d.DB, accountReads: accountReads, projector: d.Projector, tokens: tokens, references: references, moves: moves, doubts: doubts,
		concluder: concluder, now: now,
	}
	snoozes := &snoozes{
		cfg: cfg, db: d.DB, store: store, alarms: alarms, now: now,
		delays: &batch.Batcher[posts.Delayed]{Size: delayBatch, AtOnce: 2, Work: store.Delay},
	}
	snoozes.spacings = &batch.Batcher[spacing]{Size: delayBatch, AtOnce: 1, Work: snoozes.spaceOutBatch}
	saver := &answerSaver{bus: d.Bus, db: d.DB, store: store, answers: answers, leases: leases, outbox: outbox, log: log}
	// A quarter of the wake-ups in hand at most, as for questions: the last quarter is left to posts that are ready.
	creations := limiter.NewShared(min(cfg.CreationsInFlight, cfg.Wakes()/4), cfg.CreationsPerAccount)
	creations.Farthest = farthestCreation
	pacer := pace.NewPacer()
	preparer := &preparer{
		cfg: cfg, api: d.Threads, store: store, leases: leases, tokens: tokens, quotas: quotas, references: references, moves: moves, doubts: doubts,
		waits: waits, snoozes: snoozes, concluder: concluder, creations: creations, pacer: pacer, now: now,
	}
	claimer := &claimer{
		cfg: cfg, store: store, now: now,
		// One batch of claims at a time: two would only wait for each other's accounts.
		claims: &batch.Batcher[posts.Claim]{Size: claimBatch, AtOnce: 1, Work: func(ctx context.Context, batch []posts.Claim) []error {
			return store.Claim(ctx, batch, cfg.Spacing, now())
		}},
	}
	caller := &caller{
		cfg: cfg, api: d.Threads, store: store, calls: calls, claimer: claimer, answers: answers, leases: leases, tokens: tokens, references: references, moves: moves,
		doubts: doubts, waits: waits, snoozes: snoozes, concluder: concluder, saver: saver, log: log, now: now,
	}
	confirmer := &confirmer{
		cfg: cfg, api: d.Threads, store: store, leases: leases, tokens: tokens, quotas: quotas, references: references, finder: find.New(d.Threads, d.DB, store), moves: moves,
		doubts: doubts, concluder: concluder, now: now,
	}
	deleter := &deleter{
		api: d.Threads, db: d.DB, store: store, projector: d.Projector, leases: leases, tokens: tokens, quotas: quotas, moves: moves, saver: saver, now: now,
	}
	ledger := &ledger{db: d.DB, store: store, alarms: alarms, outbox: outbox, now: now}
	accepter := &accepter{
		cfg: cfg, db: d.DB, store: store, drafts: d.Drafts, ledger: ledger, conns: semaphore.NewWeighted(max(1, conns/4)), alarms: alarms, moves: moves, now: now,
		ownAccounts: &batch.Batcher[batch.Read[[]accounts.Account]]{Size: readBatch, AtOnce: 2, Work: readOwn(d.DB)},
	}
	accepter.acceptances = &batch.Batcher[posts.Acceptance]{Size: acceptBatch, AtOnce: 2, Work: store.Accept}
	waker := &waker{
		store: store, projector: d.Projector, monitor: d.Monitor, alarms: alarms, outbox: outbox, snoozes: snoozes, waits: waits, preparer: preparer,
		caller: caller, confirmer: confirmer, concluder: concluder, permalinks: permalinks, deleter: deleter, now: now,
		postReads: &batch.Batcher[batch.Read[posts.Post]]{Size: readBatch, AtOnce: 2, Work: store.ReadMany},
		creations: creations, pacer: pacer,
		questions: limiter.NewShared(cfg.Wakes()/4, questionsPerAccount),
	}
	return &Delivery{
		Singles: semaphore.NewWeighted(max(1, conns-conns/4)), db: d.DB, store: store, calls: calls, answers: answers, outbox: outbox, moves: moves, doubts: doubts, concluder: concluder, log: log, now: now,
		accepter: accepter, waker: waker,
		owners: &owners{
			cfg: cfg, bus: d.Bus, api: d.Threads, db: d.DB, store: store, drafts: d.Drafts, ownerCalls: d.OwnerCalls, ledger: ledger, alarms: alarms,
			outbox: outbox, moves: moves, log: log, now: now,
		},
		sweeper: &sweeper{
			cfg: cfg, bus: d.Bus, db: d.DB, store: store, projector: d.Projector, outbox: outbox, log: log, now: now,
			retention: &retention{cfg: cfg.RetentionConfig, db: d.DB, store: store, now: now},
		},
	}
}

// Busy says that calls to Threads that can wait had better do so.
func (d *Delivery) Busy() bool { return d.calls.Busy() }

// Begin says in the metrics how much may be in flight.
func (d *Delivery) Begin() { callPlaces.Set(float64(d.calls.Places())) }

// Finish gives the answers that are not in their rows yet some time after work was told to stop.
func (d *Delivery) Finish(stopped time.Time) { d.answers.finish(answersEnd - time.Since(stopped)) }

// Tick hears the tick of POST_ALARMS and needs to do nothing: that it goes off is what keeps JetStream's timer from
// sleeping through a step of the clock.
func (*Delivery) Tick(context.Context, bus.Delivery, string) error {
	lastTick.SetToCurrentTime()
	return nil
}

// How many posts are read, accepted, claimed, noted, leased and saved together.
const (
	readBatch   = 256
	acceptBatch = 128
	claimBatch  = 256
	noteBatch   = 256
	delayBatch  = 256
	leaseBatch  = 256
	stepBatch   = 128
)
