package publisher

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

// errLeaseOver stops a publish call at the last moment: somebody else may be asking already.
var errLeaseOver = errors.New("the lease is over")

// publish makes the one call that cannot be undone. The row is claimed and committed before it, and the call leaves
// at publish_at, not before. Whatever comes back but a clear yes goes to confirm.go.
func (s *Service) publish(ctx context.Context, old *posts.Post) error {
	crash.At(crash.PublishWoken)
	now := s.now()
	switch {
	case now.After(old.Expires()):
		return s.missed(ctx, old)
	case old.Doubt && old.ContainerExpired(now): // looked for before it is built anew
		return s.unconfirmed(ctx, old, posts.AbsentRetry, events.Faultf(events.Unknown, "What Threads prepared for this post has expired; we are checking before we build it anew."))
	case old.Doubt && old.ContainerID != "" && !old.BuiltFromRow(): // likewise; the release before this one did not note what of
		return s.unconfirmed(ctx, old, posts.AbsentRetry, unclearAnswer())
	case old.ContainerExpired(now) || old.ContainerID != "" && !old.BuiltFromRow():
		return s.discardContainer(ctx, old)
	}
	a, err := s.access(ctx, old)
	if err != nil {
		return s.waitForToken(ctx, old, err)
	}
	if old.PublishAt.Sub(now) > 2*posts.Hold { // it was woken because something changed for its account
		return s.step(ctx, old, old.ScheduleAnew(s.cfg.timing()), "")
	}
	if a.account.Paused() {
		return s.paused(ctx, old, a.account)
	}
	if err := s.until(ctx, old.PublishAt.Add(-s.cfg.ClaimLead)); err != nil {
		return err
	}
	if s.answers.full() {
		return s.snoozeForPlace(ctx, old, time.Second) // the answer could not be saved
	}
	release, again := s.calls.Hold(old.UserID, old.AccountID, s.now)
	if release == nil {
		return s.snoozeForPlace(ctx, old, again) // the account's other posts are on their way
	}
	defer release()
	unclaim, err := s.calls.claim(ctx)
	if err != nil {
		return err
	}
	defer unclaim()

	landed := func() { release(); unclaim() }
	if !old.Doubt {
		if err := s.checkReferences(ctx, old); err != nil {
			return s.waitForReference(ctx, old, err)
		}
		return s.claimAndCall(ctx, old, a, landed)
	}
	return s.callAgain(ctx, old, a, landed)
}

// callAgain publishes a container whose last call was answered with a refusal that passes. The answer may be wrong: only
// when Threads says that the container is still unpublished is it called again.
func (s *Service) callAgain(ctx context.Context, old *posts.Post, a access, landed func()) error {
	if old.Kind == events.KindRepost { // no container to ask
		return s.unconfirmed(ctx, old, posts.AbsentRetry, unclearAnswer())
	}
	began := s.now()
	status, err := s.readStatus(ctx, old, a, old.ContainerID)
	tried := s.tried("status", began, err)
	if err == nil {
		tried.Message = statusSentence(status)
	}
	switch class := threads.ClassOf(err); {
	case err == nil && status.Status == threads.StatusFinished:
		return s.claimAndCall(ctx, old, a, landed)
	case err == nil && status.Status == threads.StatusPublished:
		return s.unconfirmed(ctx, old, posts.AbsentRetry, alreadyLive(), tried)
	case err == nil && status.Status == threads.StatusInProgress, class == threads.NotReady:
		return s.notReady(ctx, old, tried)
	case err == nil: // it can never be published again
		return s.unconfirmed(ctx, old, posts.AbsentRetry, unclearAnswer(), tried)
	}
	return s.unconfirmed(ctx, old, posts.AbsentWait, unclearAnswer(), tried)
}

// notReady lets a container that Threads does not find yet wait a little, so many times.
func (s *Service) notReady(ctx context.Context, old *posts.Post, tried ...events.Attempt) error {
	return s.notReadyFrom(ctx, old, old, tried...)
}

func (s *Service) notReadyFrom(ctx context.Context, old, base *posts.Post, tried ...events.Attempt) error {
	if old.NotReady >= len(notReadyWaits) {
		return s.unconfirmedFrom(ctx, old, base, posts.AbsentRetry,
			events.Faultf(events.Unavailable, "Threads does not find what it prepared for this post; we are checking before we build it anew."), tried...)
	}
	return s.step(ctx, old, base.CallWhenFound(s.now().Add(notReadyWaits[old.NotReady])), "", tried...)
}

func alreadyLive() *events.Fault {
	return events.Faultf(events.Unknown, "Threads says that this post is already live; we are looking for it.")
}

func unclearAnswer() *events.Fault {
	return events.Faultf(events.Unknown, "Threads did not say whether this post went out; we are asking.")
}

// checkReferences sees that our own post that this one refers to has not been deleted since it was prepared.
func (s *Service) checkReferences(ctx context.Context, old *posts.Post) error {
	for _, id := range []string{old.ReplyTo, old.QuotePostID, old.RepostOf} {
		if old.CurrentPart() > 0 || !events.IsPostID(id) {
			continue
		}
		if _, err := s.mediaOf(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// claimAndCall claims the post and makes its call. landed frees the places of the call as soon as it is over.
func (s *Service) claimAndCall(ctx context.Context, old *posts.Post, a access, landed func()) error {
	p, err := s.claim(ctx, old)
	var full posts.QuotaFullError
	var soon posts.SpacingError
	var held posts.AccountPausedError
	switch {
	case errors.Is(err, posts.ErrAccountBusy):
		return s.snoozeForPlace(ctx, old, busyAgain)
	case errors.As(err, &held):
		return s.paused(ctx, old, held.Account)
	case errors.Is(err, posts.ErrDuplicateContent):
		// Often at first; the other may not be settled for hours.
		return s.delay(ctx, old, min(max(time.Second, s.now().Sub(old.PublishAt)/20), s.cfg.Spacing))
	case errors.As(err, &soon):
		return s.spaceOut(ctx, old, soon.Until)
	case errors.As(err, &full):
		return s.postpone(ctx, old, full.Quota.FullFault().After(full.Until.Sub(s.now())), full.Until)
	case err != nil:
		return err
	}
	crash.At(crash.PublishClaimed)
	return s.call(ctx, old, p, a, landed)
}

// call publishes a claimed post. From here on the work is finished even when the process is told to stop: an answer
// that nobody waits for is a question that somebody must ask. landed frees the places of the call as soon as it is over.
func (s *Service) call(ctx context.Context, before, p *posts.Post, a access, landed func()) error {
	if err := s.until(ctx, p.PublishAt); err != nil {
		return s.releaseClaim(context.WithoutCancel(ctx), before, p, err, events.Attempt{At: s.now(), Phase: "publish", Message: "Stopped before the call was made."})
	}
	ctx = context.WithoutCancel(ctx)
	stopRenewing := s.keepLease(ctx, p)
	land, _ := s.calls.start(ctx) // never fails: nothing ends this ctx
	callsInFlight.Inc()
	var called time.Time
	began := s.now()
	mediaID, err := s.callThreads(ctx, a, p, func() error {
		now := s.now()
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
	answered := s.now()
	if !stopRenewing() {
		s.log.Warn("the lease of a publish call was lost; its outcome is asked for", postField(p.ID))
	}
	if called.IsZero() {
		called = began
	}
	tried := s.tried("publish", called, err)
	if errors.Is(err, threads.ErrNotSent) {
		return s.releaseClaim(ctx, before, p, err, tried)
	}
	crash.At(crash.PublishCalled)
	return s.saveAnswer(ctx, s.answerOf(p, mediaID, called, answered, tried, func(ctx context.Context, row *posts.Post) error {
		if err == nil {
			return s.recordSuccess(ctx, row, mediaID, "", called, answered, tried)
		}
		return s.handlePublishError(ctx, row, a, err, called, tried)
	}))
}

// callThreads is the call itself. Both kinds run before at the last moment at which they can be called off.
func (s *Service) callThreads(ctx context.Context, a access, p *posts.Post, before func() error) (mediaID string, err error) {
	if p.Kind == events.KindRepost {
		return s.api.Repost(ctx, a.token, p.ParentID, before)
	}
	return s.api.Publish(ctx, a.token, p.ContainerID, before)
}

// handlePublishError sorts what came back instead of a media id. Any of it may hide a success, so the doubt stands.
func (s *Service) handlePublishError(ctx context.Context, old *posts.Post, a access, err error, called time.Time, tried events.Attempt) error {
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
			if s.parentYoung(ctx, old) {
				return s.unconfirmedFrom(ctx, old, asked, posts.AbsentRetry, notSeenYet(), tried)
			}
			return s.unconfirmedFrom(ctx, old, asked, posts.AbsentFail, events.Faultf(events.Refused, "The post to be reposted is not on Threads, or not for this account."), tried)
		}
		return s.notReadyFrom(ctx, old, base, tried)
	case threads.Reauthorize:
		switch {
		case s.declareReconnect(ctx, a):
			return s.unconfirmedFrom(ctx, old, asked, posts.AbsentWait, accounts.MustReconnect(), tried)
		case old.Kind == events.KindRepost:
			return s.unconfirmedFrom(ctx, old, asked, posts.AbsentWait, unclearAnswer(), tried)
		}
		// The token was replaced while it was tried: the container is looked at, and called again, with the new one.
		return s.step(ctx, old, base.CallAgain(s.now()), "", tried)
	case threads.Invalid:
		return s.unconfirmedFrom(ctx, old, asked, posts.AbsentFail, &events.Fault{Code: events.Refused, Message: e.Sentence}, tried)
	case threads.Quota:
		wait := s.cfg.throttled(e.RetryAfter)
		next, fact := asked.Unconfirm(posts.AbsentWait, (&events.Fault{Code: events.RateLimited, Message: e.Sentence}).After(wait), s.now().Add(wait))
		return s.saveUnconfirmed(ctx, old, next, fact, tried)
	}
	return s.unconfirmedFrom(ctx, old, asked, posts.AbsentRetry, unclearAnswer(), tried)
}

// releaseClaim takes a claim back when nothing has left this process.
func (s *Service) releaseClaim(ctx context.Context, before, old *posts.Post, why error, tried events.Attempt) error {
	next := old.ReleaseClaim(before)
	if errors.Is(why, errDown) {
		return s.waitForThreads(ctx, old, next)
	}
	return s.step(ctx, old, next.TryAgainAt(s.now().Add(clock.Backoff(next.Failures+1))), "", tried)
}

// notCalled ends a doubt that is about no call: the release before this one turns to the next part of a chain, or fails a
// post that is then tried again, and leaves the doubt of what it has settled.
func (s *Service) notCalled(ctx context.Context, old *posts.Post) error {
	return s.step(ctx, old, old.WithoutDoubt(posts.ProofUnsent).Released(), "")
}

// waitForThreads lets a post wait while Threads is down. Not for long at a time: when Threads is back, the posts of the
// last minutes are overdue.
func (s *Service) waitForThreads(ctx context.Context, old, base *posts.Post) error {
	wait := s.cfg.BreakerRetry + rand.N(s.cfg.BreakerRetry) //nolint:gosec // spreads tries, guards nothing
	return s.postponeFrom(ctx, old, base, threadsDown(), s.now().Add(wait))
}

func threadsDown() *events.Fault {
	return events.Faultf(events.Unavailable, "Threads does not answer at the moment; this post goes out as soon as it does.")
}

// discardContainer drops a container that is about to die, to build another.
func (s *Service) discardContainer(ctx context.Context, old *posts.Post) error {
	return s.step(ctx, old, old.BuildAnew(s.now()), "")
}

// keepLease renews the lease while a call is in flight. The returned function stops it and says whether the lease was
// ours to the end.
func (s *Service) keepLease(ctx context.Context, p *posts.Post) (stop func() bool) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan bool, 1)
	go func() {
		held := true
		tick := time.NewTicker(s.cfg.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				done <- held
				return
			case <-tick.C:
				if err := s.store.RenewLease(ctx, p); errors.Is(err, posts.ErrLost) {
					held = false
				}
			}
		}
	}()
	return func() bool { cancel(); return <-done }
}

// until waits for an instant of the wall clock, never less. Long waits are not its business: it is for the last second.
func (s *Service) until(ctx context.Context, at time.Time) error {
	for {
		wait := at.Sub(s.now().Round(0)) // Round(0) drops the monotonic reading: the user asked for a wall time
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
