// Package engagement reads and moderates at Threads what an account's owner asks for, besides publishing: insights, replies,
// mentions, searches, profiles, limits and the import of its history. It also collects the insights of every account from time to
// time, so that trends are there for whoever asks later.
package engagement

import (
	"cmp"
	"context"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// Deps are what reading for owners needs.
type Deps struct {
	Bus     *bus.Bus
	DB      *bun.DB
	Side    *bun.DB // for questions; nil: DB
	Threads *threads.Client
	Posts   *posts.Store
	Calls   *ownercalls.Service

	// Apply writes imported posts that were emitted.
	Apply func(ctx context.Context, imported ...events.PostEvent) error
	// Erased says whether an account is erased.
	Erased func(accountID string) bool
	// Ready says whether Postgres has everything that was emitted, Busy whether publishing needs most of the calls.
	Ready, Busy func() bool

	Log *zap.Logger
	Now func() time.Time
}

// Service answers owners' questions about what is at Threads.
type Service struct {
	cfg         Config
	bus         *bus.Bus
	db, side    *bun.DB
	api         *threads.Client
	posts       *posts.Store
	calls       *ownercalls.Service
	recentReads *recentReads
	apply       func(context.Context, ...events.PostEvent) error
	erased      func(accountID string) bool
	ready, busy func() bool
	log         *zap.Logger
	now         func() time.Time
}

// New makes the service. It does no I/O.
func New(cfg Config, d Deps) *Service {
	return &Service{
		cfg: cfg, bus: d.Bus, db: d.DB, side: cmp.Or(d.Side, d.DB), api: d.Threads, posts: d.Posts, calls: d.Calls,
		recentReads: newRecentReads(cfg.ReadsKept), apply: d.Apply, erased: d.Erased, ready: d.Ready, busy: d.Busy, log: d.Log, now: d.Now,
	}
}
