package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/breaker"
	"github.com/omni-write/threads/services/publisher/delivery/pace"
)

// caller makes the publish calls.
type caller struct {
	cfg        Config
	api        *threads.Client
	store      *posts.Store
	calls      *pace.Calls
	claimer    *claimer
	answers    *answers
	leases     *leases
	tokens     *tokens
	references *references
	moves      *moves
	doubts     *doubts
	waits      *waits
	snoozes    *snoozes
	concluder  *concluder
	saver      *answerSaver
	log        *zap.Logger
	now        func() time.Time
}

// publish makes the one call that cannot be undone. The row is claimed and committed before it, and the call leaves
// at publish_at, not before. Whatever comes back but a clear yes goes to confirm.go.
func (c *caller) publish(ctx context.Context, old *posts.Post) (end, error) {
	crash.At(crash.PublishWoken)
	now := c.now()
	switch {
	case now.After(old.Expires()):
		return c.waits.missed(ctx, old)
	case old.Doubt && posts.ContainerExpired(old, now): // looked for before it is built anew
		return moved, c.doubts.unconfirmed(ctx, old, posts.AbsentRetry, events.Faultf(events.Unknown, "What Threads prepared for this post has expired; we are checking before we build it anew."))
	case old.Doubt && old.ContainerID != "" && !posts.BuiltFromRow(old): // likewise; the release before this one did not note what of
		return moved, c.doubts.unconfirmed(ctx, old, posts.AbsentRetry, unclearAnswer())
	case posts.ContainerExpired(old, now) || old.ContainerID != "" && !posts.BuiltFromRow(old):
		return moved, c.moves.discardContainer(ctx, old)
	}
	a, err := c.tokens.access(ctx, old)
	if err != nil {
		return c.waits.waitForToken(ctx, old, err)
	}
	if old.PublishAt.Sub(now) > 2*posts.Hold { // it was woken because something changed for its account
		return moved, c.moves.save(ctx, old, old.ScheduleAnew(c.cfg.Timing()), "")
	}
	if a.account.Paused() {
		return moved, c.waits.paused(ctx, old, a.account)
	}
	if err := c.until(ctx, claimAt(old.PublishAt, c.cfg.ClaimLead)); err != nil {
		return 0, err
	}
	if c.answers.full() {
		return c.snoozes.forPlace(ctx, old, time.Second) // the answer could not be saved
	}
	unclaim, err := c.calls.Claim(ctx)
	if err != nil {
		return 0, err
	}
	defer unclaim()
	// The account's place comes last: in a rush it would else be held by those who wait for a claim, and the account's other
	// posts would come again and again.
	release, again := c.calls.Hold(old.UserID, old.AccountID, c.now)
	if release == nil {
		unclaim()
		return c.snoozes.forPlace(ctx, old, again) // the account's other posts are on their way
	}
	defer release()

	landed := func() { release(); unclaim() }
	if !old.Doubt {
		if err := c.references.check(ctx, old); err != nil {
			return c.waits.waitForReference(ctx, old, err)
		}
		return c.claimAndCall(ctx, old, a, landed)
	}
	return c.callAgain(ctx, old, a, landed)
}

// callAgain publishes a container whose last call was answered with a refusal that passes. The answer may be wrong: only
// when Threads says that the container is still unpublished is it called again.
func (c *caller) callAgain(ctx context.Context, old *posts.Post, a access, landed func()) (end, error) {
	if old.Kind == events.KindRepost { // no container to ask
		return moved, c.doubts.unconfirmed(ctx, old, posts.AbsentRetry, unclearAnswer())
	}
	began := c.now()
	status, err := readStatus(ctx, c.api, old, c.now(), a, old.ContainerID)
	tried := attempted("status", began, c.now(), err)
	if err == nil {
		tried.Message = statusSentence(status)
	}
	switch class := threads.ClassOf(err); {
	case err == nil && status.Status == threads.StatusFinished:
		return c.claimAndCall(ctx, old, a, landed)
	case err == nil && status.Status == threads.StatusPublished:
		return moved, c.doubts.unconfirmed(ctx, old, posts.AbsentRetry, alreadyLive(), tried)
	case err == nil && status.Status == threads.StatusInProgress, class == threads.NotReady:
		return moved, c.notReady(ctx, old, tried)
	case err == nil: // it can never be published again
		return moved, c.doubts.unconfirmed(ctx, old, posts.AbsentRetry, unclearAnswer(), tried)
	}
	return moved, c.doubts.unconfirmed(ctx, old, posts.AbsentWait, unclearAnswer(), tried)
}

// notReady lets a container that Threads does not find yet wait a little, so many times.
func (c *caller) notReady(ctx context.Context, old *posts.Post, tried ...asks.Attempt) error {
	return c.notReadyFrom(ctx, old, old, tried...)
}

func (c *caller) notReadyFrom(ctx context.Context, old, base *posts.Post, tried ...asks.Attempt) error {
	if old.NotReady >= len(notReadyWaits) {
		return c.doubts.unconfirmedFrom(ctx, old, base, posts.AbsentRetry,
			events.Faultf(events.Unavailable, "Threads does not find what it prepared for this post; we are checking before we build it anew."), tried...)
	}
	return c.moves.save(ctx, old, base.CallWhenFound(c.now().Add(notReadyWaits[old.NotReady])), "", tried...)
}

// check sees that our own post that this one refers to has not been deleted since it was prepared.
func (r *references) check(ctx context.Context, old *posts.Post) error {
	for _, id := range []string{old.ReplyTo, old.QuotePostID, old.RepostOf} {
		if old.CurrentPart() > 0 || !events.IsPostID(id) {
			continue
		}
		if _, err := r.mediaOf(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// claimAndCall claims the post and makes its call. landed frees the places of the call as soon as it is over.
func (c *caller) claimAndCall(ctx context.Context, old *posts.Post, a access, landed func()) (end, error) {
	p, err := c.claimer.claim(ctx, old)
	var full posts.QuotaFullError
	var soon posts.SpacingError
	var held posts.AccountPausedError
	switch {
	case errors.Is(err, posts.ErrAccountBusy):
		return c.snoozes.forPlace(ctx, old, busyAgain)
	case errors.As(err, &held):
		return moved, c.waits.paused(ctx, old, held.Account)
	case errors.Is(err, posts.ErrDuplicateContent):
		// Often at first; the other may not be settled for hours.
		return c.snoozes.delay(ctx, old, min(max(time.Second, c.now().Sub(old.PublishAt)/20), c.cfg.Spacing))
	case errors.As(err, &soon):
		return c.snoozes.spaceOut(ctx, old, soon.Until)
	case errors.As(err, &full):
		return moved, c.waits.postpone(ctx, old, full.Quota.FullFault().After(full.Until.Sub(c.now())), full.Until)
	case err != nil:
		return 0, err
	}
	crash.At(crash.PublishClaimed)
	return c.call(ctx, old, p, a, landed)
}

// call publishes a claimed post. From here on the work is finished even when the process is told to stop: a claim that is taken back would
// make the post late, and an answer that nobody waits for is a question that somebody must ask. landed frees the places of the call as
// soon as it is over.
func (c *caller) call(ctx context.Context, before, p *posts.Post, a access, landed func()) (end, error) {
	ctx = context.WithoutCancel(ctx)
	if err := c.until(ctx, p.PublishAt); err != nil {
		return moved, c.releaseClaim(ctx, before, p, err, asks.Attempt{At: c.now(), Phase: "publish", Message: "The clock was set back before the call was made."})
	}
	stopRenewing := c.leases.keep(ctx, p)
	land, _ := c.calls.Start(ctx) // never fails: nothing ends this ctx
	callsInFlight.Inc()
	var called time.Time
	began := c.now()
	mediaID, err := c.callThreads(ctx, a, p, func() error {
		now := c.now()
		// Our clock against the lease, the last thing before the request is written: this process may have been stopped for
		// a minute, and another asking. The monotonic readings stand still in a suspended machine, those of the wall clock
		// may have been set back.
		if now.After(p.LeaseUntil) || now.Round(0).After(p.LeaseUntil.Round(0)) {
			return errLeaseOver
		}
		crash.At(crash.PublishCalling)
		called = now // asked once
		return nil
	})
	callsInFlight.Dec()
	land()
	landed()
	answered := c.now()
	if !stopRenewing() {
		c.log.Warn("the lease of a publish call was lost; its outcome is asked for", postField(p.ID))
	}
	if called.IsZero() {
		called = began
	}
	tried := attempted("publish", called, c.now(), err)
	if errors.Is(err, threads.ErrNotSent) {
		return moved, c.releaseClaim(ctx, before, p, err, tried)
	}
	crash.At(crash.PublishCalled)
	return c.saver.save(ctx, c.saver.answerOf(p, mediaID, called, answered, tried, func(ctx context.Context, row *posts.Post) (end, error) {
		if err == nil {
			return c.concluder.recordSuccess(ctx, row, a, mediaID, "", called, answered, tried)
		}
		return moved, c.handlePublishError(ctx, row, a, err, called, tried)
	}))
}

// callThreads is the call itself. Both kinds run before at the last moment at which they can be called off.
func (c *caller) callThreads(ctx context.Context, a access, p *posts.Post, before func() error) (mediaID string, err error) {
	if p.Kind == events.KindRepost {
		return c.api.Repost(ctx, a.token, p.ParentID, before)
	}
	return c.api.Publish(ctx, a.token, p.ContainerID, before)
}

// handlePublishError sorts what came back instead of a media id. Any of it may hide a success, so the doubt stands.
func (c *caller) handlePublishError(ctx context.Context, old *posts.Post, a access, err error, called time.Time, tried asks.Attempt) error {
	e := apiError(err)
	if e == nil {
		e = &threads.Error{Class: threads.Ambiguous, Sentence: "Threads' answer was lost."}
	}
	base := old
	if e.Class != threads.Ambiguous {
		base = old.MarkAnswered()
	}
	asked := base.MarkCalled(called)
	switch e.Class {
	case threads.NotFound, threads.NotReady:
		if old.Kind == events.KindRepost {
			if c.references.parentYoung(ctx, old) {
				return c.doubts.unconfirmedFrom(ctx, old, asked, posts.AbsentRetry, notSeenYet(), tried)
			}
			return c.doubts.unconfirmedFrom(ctx, old, asked, posts.AbsentFail, events.Faultf(events.Refused, "The post to be reposted is not on Threads, or not for this account."), tried)
		}
		return c.notReadyFrom(ctx, old, base, tried)
	case threads.Reauthorize:
		switch {
		case c.tokens.declareReconnect(ctx, a):
			return c.doubts.unconfirmedFrom(ctx, old, asked, posts.AbsentWait, accounts.MustReconnect(), tried)
		case old.Kind == events.KindRepost:
			return c.doubts.unconfirmedFrom(ctx, old, asked, posts.AbsentWait, unclearAnswer(), tried)
		}
		// The token was replaced while it was tried: the container is looked at, and called again, with the new one.
		return c.moves.save(ctx, old, base.CallAgain(c.now()), "", tried)
	case threads.Invalid:
		return c.doubts.unconfirmedFrom(ctx, old, asked, posts.AbsentFail, &events.Fault{Code: events.Refused, Message: e.Sentence}, tried)
	case threads.Quota:
		wait := c.cfg.throttled(e.RetryAfter)
		next, fact := asked.Unconfirm(posts.AbsentWait, (&events.Fault{Code: events.RateLimited, Message: e.Sentence}).After(wait), c.now().Add(wait))
		return c.doubts.saveUnconfirmed(ctx, old, next, fact, tried)
	}
	return c.doubts.unconfirmedFrom(ctx, old, asked, posts.AbsentRetry, unclearAnswer(), tried)
}

// releaseClaim takes a claim back when nothing has left this process.
func (c *caller) releaseClaim(ctx context.Context, before, old *posts.Post, why error, tried asks.Attempt) error {
	next := old.ReleaseClaim(before)
	if errors.Is(why, breaker.ErrDown) {
		return c.waits.waitForThreads(ctx, old, next)
	}
	return c.moves.save(ctx, old, next.TryAgainAt(c.now().Add(clock.Backoff(next.Failures+1))), "", tried)
}

// until waits for an instant of the wall clock, never less. Long waits are not its business: it is for the last second.
func (c *caller) until(ctx context.Context, at time.Time) error {
	for {
		wait := at.Sub(c.now().Round(0)) // Round(0) drops the monotonic reading: the user asked for a wall time
		if wait <= 0 {
			return nil
		}
		if wait > 2*posts.Hold {
			return fmt.Errorf("asked to wait %s", wait)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}
