package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/delivery/pace"
	"github.com/omni-write/threads/services/publisher/projector"
)

// concluder writes what Threads answered, and emits it.
type concluder struct {
	cfg        Config
	bus        *bus.Bus
	db         *bun.DB
	store      *posts.Store
	calls      *pace.Calls
	backlog    *pace.Backlog
	outcomes   *batch.Batcher[posts.Outcome]
	projector  *projector.Projector
	outbox     *outbox
	moves      *moves
	doubts     *doubts
	permalinks *permalinks
	log        *zap.Logger
	now        func() time.Time
}

// recordSuccess saves a clear yes. It is in the row before it is emitted, so no crash can lose it. A part of a chain that
// is not the last is emitted as such, and the next one's turn comes.
func (c *concluder) recordSuccess(ctx context.Context, old *posts.Post, a access, mediaID, permalink string, called, accepted time.Time, tried ...asks.Attempt) (end, error) {
	if posts.IsFirstCall(old) {
		c.measureLateness(old, called)
	}
	if old.IsChain() {
		// A table cannot hold the ids of parts unique as it does for whole posts.
		known, err := c.store.ClaimedMediaIDs(ctx, c.db, old.AccountID, []string{mediaID})
		if err != nil {
			return 0, err
		}
		if known[mediaID] {
			return moved, c.doubts.park(ctx, old, sameMedia(), tried...)
		}
	}
	next, more := old.Publish(mediaID, permalink, called, accepted, c.now())
	if !more {
		return c.conclude(ctx, old, next, a, tried...)
	}
	if err := c.moves.saveAt(ctx, crash.PartNoted, old, next, events.FactPartPublished, tried...); err != nil {
		return 0, err
	}
	crash.At(crash.PartTold)
	return moved, nil
}

// fail saves that a post will not go out, and why.
func (c *concluder) fail(ctx context.Context, old *posts.Post, reason *events.Fault, tried ...asks.Attempt) (end, error) {
	return c.conclude(ctx, old, old.Fail(ofPart(old, old.CurrentPart(), reason), c.now()), access{}, tried...)
}

// conclude saves an answer and emits it. rev stays: it is raised by the event, when the projector applies it. The access is what a
// permalink is asked for with, where the post is live.
func (c *concluder) conclude(ctx context.Context, old, p *posts.Post, a access, tried ...asks.Attempt) (end, error) {
	p.UpdatedAt = c.now()
	p.WakeAt = c.now().Add(c.cfg.Lease + time.Second) // when this worker is gone, the next emits it
	p.ArmedAt = time.Time{}
	err := c.saveOutcome(ctx, old, p, tried)
	if errors.Is(pg.Map(err), pg.ErrExists) {
		// Another row of this account has this media id. One of the two is wrong, and no machine can say which.
		return moved, c.doubts.park(ctx, old, sameMedia(), tried...)
	}
	if err != nil {
		return 0, err
	}
	crash.At(crash.PublishNoted)
	// What is still to be emitted of the post comes before its end, but nothing of it may stand before the end for good.
	if err := c.outbox.flush(ctx, old); err != nil {
		c.log.Warn("a change is emitted only with the outcome", postField(p.ID), errField(err))
	}
	// From here on nothing can be lost, so the calls of others come first.
	if p.Fact == events.FactPublished && c.calls.InRush() && c.backlog.Add(p.ID) {
		return final, nil
	}
	return c.finishOutcome(ctx, p, a)
}

// saveOutcome writes the answer into the row: a plain yes together with those of other posts, anything else by itself.
func (c *concluder) saveOutcome(ctx context.Context, old, p *posts.Post, tried []asks.Attempt) error {
	if p.Fact == events.FactPublished && !p.IsChain() && old.State == events.StatePublishing {
		if err := c.outcomes.Do(ctx, posts.Outcome{Old: old, Next: p, Tried: tried}); !errors.Is(err, batch.ErrAlone) {
			return err
		}
	}
	return c.store.SaveStep(ctx, old, p, tried...)
}

// finishOutcome emits the saved answer and has the projector apply it; then the post is done. It runs again after a crash, to
// the same effect, without an access.
func (c *concluder) finishOutcome(ctx context.Context, p *posts.Post, a access) (end, error) {
	if p.Fact == events.FactPublished {
		c.permalinks.fetch(ctx, p, a)
	}
	crash.At(crash.PublishTelling)
	ev := posts.OutcomeEvent(p, p.Fact)
	if there, err := c.emittedLongAgo(ctx, p, ev); err != nil {
		return 0, err
	} else if there {
		return c.applied(ctx, ev)
	}
	if err := c.outbox.emit(ctx, ev); errors.Is(err, errAlreadyEmitted) {
		if err := c.projector.ApplyStanding(ctx, p, ev.Subject()); err != nil {
			return 0, err
		}
		return final, nil
	} else if err != nil {
		if p.Permalink != "" {
			err = errors.Join(err, c.store.SavePermalink(ctx, p))
		}
		return 0, err
	}
	crash.At(crash.PublishTold)
	return c.applied(ctx, ev)
}

// emittedLongAgo says whether a failure stands on EVENTS already: Postgres may have been away since it was emitted, for longer
// than JetStream knows a repeat. A second PostPublished is refused by the stream itself.
func (c *concluder) emittedLongAgo(ctx context.Context, p *posts.Post, ev events.PostEvent) (bool, error) {
	if p.Fact != events.FactFailed || c.now().Sub(p.UpdatedAt) < republishAfter {
		return false, nil
	}
	return c.bus.Emitted(ctx, ev)
}

// applied has the outcome that stands on EVENTS applied to the row.
func (c *concluder) applied(ctx context.Context, ev events.PostEvent) (end, error) {
	// The projector will read the event from the stream as well, and find it applied. Doing it here too means that
	// whoever waits for the outcome gets it now, and that a GET right after says POSTED.
	if err := c.projector.ApplyNow(ctx, ev); err != nil {
		return 0, err
	}
	crash.At(crash.PublishApplied)
	return final, nil
}

// measureLateness measures a post that was published, as a whole or by the part that its time binds, by a call that left at the
// given time.
func (c *concluder) measureLateness(p *posts.Post, called time.Time) {
	notice, held := "ahead", "no"
	if p.PublishAt.Sub(p.CreatedAt) < c.cfg.Timing().Lead(p) {
		notice = "short"
	}
	if p.Attempt > 1 || p.Reason != nil {
		held = "yes"
	}
	lateness.WithLabelValues(notice, held).Observe(max(called.Sub(p.PublishAt), 0).Seconds())
}
