package delivery

import (
	"context"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/limiter"
	"github.com/omni-write/threads/internal/posts"
)

// What the tests of a whole publisher reach into: single steps, at the moment and in the order of a test's choice.

// What a step ends with.
const (
	Moved   = moved
	Snoozed = snoozed
	Final   = final
)

const (
	BusyAgain  = busyAgain
	ForgetStep = forgetStep
)

func ListNotReadable() *events.Fault { return listNotReadable() }
func Ambiguous() *events.Fault       { return ambiguous() }

func (d *Delivery) Store() *posts.Store { return d.store }

// UseBus has all of it speak through another connection to NATS.
func (d *Delivery) UseBus(b *bus.Bus) {
	d.waker.alarms.bus, d.outbox.bus, d.caller.tokens.bus, d.concluder.bus, d.caller.saver.bus, d.owners.bus, d.sweeper.bus = b, b, b, b, b, b, b
}

// Accept, and what owners do.

func (d *Delivery) NewPost(id, userID, accountID string, draft events.Draft, at time.Time) *posts.Post {
	return d.newPost(id, userID, accountID, draft, at)
}

func (d *Delivery) MayDelete(ctx context.Context, old *posts.Post, part int) (bool, error) {
	return d.deleter.mayDelete(ctx, old, part)
}

// Wake and wait.

func (d *Delivery) Work(ctx context.Context, p *posts.Post) (end, error) { return d.work(ctx, p) }
func (d *Delivery) Resume(ctx context.Context, old *posts.Post) (end, error) {
	return d.waits.resume(ctx, old)
}
func (d *Delivery) Creations() *limiter.Limiter       { return d.creations }
func (d *Delivery) Questions() *limiter.Limiter       { return d.questions }
func (d *Delivery) PermalinkPlaces() *limiter.Limiter { return d.permalinks.places }

func (d *Delivery) Access(ctx context.Context, p *posts.Post) (access, error) {
	return d.caller.tokens.access(ctx, p)
}

func (d *Delivery) Paused(ctx context.Context, old *posts.Post, a access) error {
	return d.waits.paused(ctx, old, a.account)
}

// Publish.

func (d *Delivery) Publish(ctx context.Context, old *posts.Post) (end, error) {
	return d.caller.publish(ctx, old)
}
func (d *Delivery) AcquireLease(ctx context.Context, p *posts.Post) error {
	return d.caller.leases.acquire(ctx, p)
}

func (d *Delivery) Claims() *batch.Batcher[posts.Claim] { return d.caller.claimer.claims }

func (d *Delivery) Claim(ctx context.Context, old *posts.Post) (*posts.Post, error) {
	return d.caller.claimer.claim(ctx, old)
}

func (d *Delivery) ClaimAndCall(ctx context.Context, old *posts.Post, a access, landed func()) (end, error) {
	return d.caller.claimAndCall(ctx, old, a, landed)
}

func (d *Delivery) Call(ctx context.Context, before, p *posts.Post, a access, landed func()) (end, error) {
	return d.caller.call(ctx, before, p, a, landed)
}

func (d *Delivery) CallThreads(ctx context.Context, a access, p *posts.Post, before func() error) (string, error) {
	return d.caller.callThreads(ctx, a, p, before)
}

func (d *Delivery) ReleaseClaim(ctx context.Context, before, old *posts.Post, why error, tried asks.Attempt) error {
	return d.caller.releaseClaim(ctx, before, old, why, tried)
}

// Conclude and confirm.

func (d *Delivery) AnswerOf(p *posts.Post, mediaID string, called, accepted time.Time, tried asks.Attempt) answer {
	return d.caller.saver.answerOf(p, mediaID, called, accepted, tried, nil)
}

func (a answer) Awaited(row *posts.Post) bool       { return a.awaited(row) }
func (a answer) LastWord(ctx context.Context) error { return a.lastWord(ctx) }

func (d *Delivery) RecordSuccess(ctx context.Context, old *posts.Post, mediaID, permalink string, called, accepted time.Time, tried ...asks.Attempt) (end, error) {
	return d.concluder.recordSuccess(ctx, old, access{}, mediaID, permalink, called, accepted, tried...)
}

func (d *Delivery) FinishOutcome(ctx context.Context, p *posts.Post) (end, error) {
	return d.concluder.finishOutcome(ctx, p, access{})
}

func (d *Delivery) Confirm(ctx context.Context, old *posts.Post) (end, error) {
	return d.confirmer.confirm(ctx, old)
}

func (d *Delivery) Park(ctx context.Context, old *posts.Post, reason *events.Fault) error {
	return d.doubts.park(ctx, old, reason)
}

// FindPublished says how many posts in the lists of the account are the post, and how many could be it.
func (d *Delivery) FindPublished(ctx context.Context, p *posts.Post, a access) (matching, similar int, err error) {
	seen, err := d.confirmer.finder.Published(ctx, p, a.account, a.token)
	return len(seen.Matching), len(seen.Similar), err
}

// Outbox and sweep.

func (d *Delivery) Emit(ctx context.Context, ev events.PostEvent) error {
	return d.outbox.emit(ctx, ev)
}
func (d *Delivery) Flush(ctx context.Context, old *posts.Post) error { return d.outbox.flush(ctx, old) }
func (d *Delivery) FlushOld(ctx context.Context, old *posts.Post) error {
	return d.outbox.flushOld(ctx, old)
}
func (d *Delivery) SweepOnce(ctx context.Context) error { return d.sweepOnce(ctx) }
func (d *Delivery) NotEmitted(now time.Time) []string   { return d.notEmitted.ids(now) }
func (d *Delivery) KeepCommands(kept time.Duration)     { d.retention.cfg.CommandsKept = kept }
func (d *Delivery) AttemptsRound() (after int64, next time.Time) {
	return d.retention.after, d.retention.next
}

// InRush says whether posts that are due wait for a place to be claimed.
func (d *Delivery) InRush() bool { return d.calls.InRush() }
