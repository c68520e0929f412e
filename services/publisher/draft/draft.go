// Package draft says whether a draft may be accepted, makes a post of it, and tells its author beforehand what to know.
package draft

import (
	"context"
	"net/netip"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads/probe"
)

// Config is what drafts are checked by, and what a post gets that its draft does not say.
type Config struct {
	// MediaNetworks and MediaPorts are networks and ports of media that are taken although they are not public.
	MediaNetworks []netip.Prefix
	MediaPorts    []uint16
	// PublishWithin is how late a post may still go out when its draft does not say.
	PublishWithin time.Duration
	Timing        posts.Timing
	// FetchesPerMinute and FetchedPerMinute are how many files, and how many bytes of them, are fetched for one user to look at
	// them. QueuedPerAccount is how many posts of an account may wait to go out. 0: no limit.
	FetchesPerMinute int
	FetchedPerMinute int64
	QueuedPerAccount int
}

// Deps are what the checks need.
type Deps struct {
	DB    *bun.DB // for questions
	Posts *posts.Store
	// Limits forecasts how much of its allowances an account has left at a time.
	Limits func(ctx context.Context, account accounts.Account, at, now time.Time) (asks.Limits, error)
	Log    *zap.Logger
	Now    func() time.Time
}

// Service checks drafts.
type Service struct {
	cfg    Config
	db     *bun.DB
	posts  *posts.Store
	limits func(ctx context.Context, account accounts.Account, at, now time.Time) (asks.Limits, error)
	prober *probe.Prober
	budget *budget
	queues *queues
	log    *zap.Logger
	now    func() time.Time
}

// New makes the checks. It does no I/O.
func New(cfg Config, d Deps) *Service {
	return &Service{
		cfg: cfg, db: d.DB, posts: d.Posts, limits: d.Limits, log: d.Log, now: d.Now,
		prober: probe.New(probe.Config{Allow: cfg.MediaNetworks, Ports: cfg.MediaPorts}),
		budget: newBudget(cfg.FetchesPerMinute, cfg.FetchedPerMinute), queues: newQueues(cfg.QueuedPerAccount),
	}
}
