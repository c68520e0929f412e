package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nats-io/nats.go"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/posts"
)

// outbox puts what has become of posts on EVENTS: the row is saved first, and says whether that is done.
type outbox struct {
	bus     *bus.Bus
	db      *bun.DB
	store   *posts.Store
	erased  func(accountID string) bool
	emitted emittedRevisions
	log     *zap.Logger
	now     func() time.Time
}

// emitChange puts the event that led to the row's rev on EVENTS. Emitting it again is the same event.
func (o *outbox) emitChange(ctx context.Context, p *posts.Post) error {
	if p.State == events.StateConcluding {
		return nil // fact is already the outcome's, and that is emitted with the next rev (conclude.go)
	}
	if err := o.emit(ctx, events.NewPostEvent(p.Fact, p.Snapshot())); err != nil {
		return err
	}
	o.emitted.add(p.ID, p.Rev)
	return nil
}

// republish is emitChange for a change that may have been emitted long ago, by whom nobody knows: JetStream knows a repeat for
// some minutes only, and while nothing is applied the row does not say. So EVENTS is looked at first.
func (o *outbox) republish(ctx context.Context, p *posts.Post) error {
	if p.State == events.StateConcluding || o.emitted.has(p.ID, p.Rev) {
		return nil
	}
	there, err := o.bus.Emitted(ctx, events.NewPostEvent(p.Fact, p.Snapshot()))
	if err != nil {
		return fmt.Errorf("look whether %s is emitted: %w", p.Fact, err)
	}
	if !there {
		return o.emitChange(ctx, p)
	}
	o.emitted.add(p.ID, p.Rev)
	return nil
}

// republishAfter is how old a change that is not emitted must be before another worker emits it.
const republishAfter = 10 * time.Second

// flush emits a change before the next one takes its place in the row: a crash may have come between saving and
// emitting it. What this process emitted itself, or the projector has seen on EVENTS, is not emitted again.
func (o *outbox) flush(ctx context.Context, old *posts.Post) error {
	if old.EmittedRev >= old.Rev {
		return nil
	}
	err := o.republish(ctx, old)
	if errors.Is(err, nats.ErrMaxPayload) { // of a post from before there was a bound: its next change may be smaller
		o.log.Error("a change is too large to be emitted; only the next one is", postField(old.ID), errField(err))
		return nil
	}
	return err
}

// flushOf emits what a crash has kept from being emitted of a post, before its owner's next move takes its place.
func (o *outbox) flushOf(ctx context.Context, userID, id string) error {
	p, err := o.store.Find(ctx, o.db, userID, id)
	if err != nil {
		return nil //nolint:nilerr // the move itself says so
	}
	return o.flush(ctx, p)
}

// flushOld emits a change whose emitting was cut short. A change of the last seconds is left alone: whoever made it is
// emitting it, or the projector has not come to it yet.
func (o *outbox) flushOld(ctx context.Context, p *posts.Post) error {
	if p.EmittedRev >= p.Rev || o.now().Sub(p.UpdatedAt) < republishAfter {
		return nil
	}
	return o.republish(ctx, p)
}

// emittedRevisions remember what this process has emitted. To forget is harmless: the same event twice is one.
type emittedRevisions struct{ revs *lru.Cache[string, int64] }

const maxEmittedRevisions = 100_000

func newEmittedRevisions() emittedRevisions {
	revs, _ := lru.New[string, int64](maxEmittedRevisions) // fails for a size of 0 only
	return emittedRevisions{revs}
}

func (e emittedRevisions) add(id string, rev int64) { e.revs.Add(id, rev) }

func (e emittedRevisions) has(id string, rev int64) bool {
	emitted, _ := e.revs.Get(id)
	return emitted == rev
}

// errAlreadyEmitted says that another event has emitted the outcome of a post: that one stands.
var errAlreadyEmitted = errors.New("the outcome was emitted before, by another event")

func (o *outbox) emit(ctx context.Context, ev events.PostEvent) error {
	if o.erased(ev.Snapshot().AccountID) {
		return nil // its account is erased: nobody is to hear of it
	}
	err := o.bus.Emit(ctx, ev)
	if before := new(bus.AlreadyPublishedError); errors.As(err, &before) {
		if before.ID == before.StandingID {
			o.log.Info("a post was emitted as published before, with other words; those stand", errField(err))
		} else {
			o.log.Error("a post was emitted as published before, by another event; that one stands", errField(err))
		}
		return errAlreadyEmitted
	}
	if err != nil {
		return fmt.Errorf("emit %s: %w", ev.Type(), err)
	}
	countEmitted(ev)
	return nil
}
