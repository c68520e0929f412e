// Package projector writes what EVENTS says into Postgres (docs/architecture.md): it follows EVENTS, applies each event to the
// table of posts once, catches up at a start, and restores or rebuilds the table. It knows nothing of publishing.
package projector

import (
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/posts"
)

// Config is what a projector needs to know.
type Config struct {
	Timing posts.Timing
	// SweepGrace is how long after its wake-up time a post counts as overdue.
	SweepGrace time.Duration
	// RestoredSince is the time of the backup that Postgres was restored from, said once by an operator; zero: none.
	RestoredSince time.Time
}

// Deps is what a projector works with.
type Deps struct {
	Bus   *bus.Bus
	DB    *bun.DB
	Store *posts.Store
	Log   *zap.Logger
	Now   func() time.Time
}

// Projector writes what EVENTS says into Postgres: final states, up to which revision each post's events are on EVENTS, and
// how far EVENTS is applied.
//
// An event is applied at once by whoever emitted it (ApplyNow), and again, without effect, when it comes round on EVENTS
// (Run). One process at a time follows EVENTS, under a lock of Postgres, so that its position is exact; the others stand by.
type Projector struct {
	Deps

	cfg Config
	// outcomes are applied by whoever emitted them, together with those of other posts.
	outcomes *batch.Batcher[events.PostEvent]
	// accountChanges asks for a sweep now: an account came or went, and its posts should not wait for the next round.
	accountChanges chan struct{}
	// current is set once EVENTS is applied to its end; before that nothing is claimed or swept.
	current atomic.Bool
	// holder is the session that another process follows EVENTS with, as it was logged last.
	holder int
}

// applyBatch is how many outcomes are applied together.
const applyBatch = 256

// New makes a projector. It does no I/O.
func New(cfg Config, d Deps) *Projector {
	r := &Projector{Deps: d, cfg: cfg, accountChanges: make(chan struct{}, 1)}
	r.outcomes = &batch.Batcher[events.PostEvent]{Size: applyBatch, AtOnce: 2, Work: r.ApplyTogether}
	return r
}

// IsCurrent says whether EVENTS, as it stood at the start, is applied to its end. Before that a row may not know yet that its
// post went out.
func (r *Projector) IsCurrent() bool { return r.current.Load() }

// AccountChanges receives when an account came or went, so that its posts are looked at now.
func (r *Projector) AccountChanges() <-chan struct{} { return r.accountChanges }
