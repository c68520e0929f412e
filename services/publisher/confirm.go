package publisher

import (
	"context"
	"errors"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/threads"
)

// confirm finds out what became of a publish call whose answer is not clear. It asks Threads, never guesses, and allows
// a second call only when the first can no longer succeed: its deadline is well over, FINISHED was read twice with a
// pause between, and the account's lists do not have the post.
func (s *Service) confirm(ctx context.Context, was *Post) error {
	if err := s.store.acquire(ctx, was, s.now()); err != nil {
		return err
	}
	defer s.keepLease(ctx, was)()
	crash.At(crash.ConfirmLeased)
	if was.State == events.StatePublishing {
		// Its worker is gone. Say so, and ask in the next step.
		return s.unconfirmed(ctx, was, events.Faultf(events.Unknown, "The publisher was interrupted while this post went out; we are asking Threads."))
	}
	a, err := s.access(ctx, was)
	if err != nil {
		return s.askLater(ctx, was, "") // without a token nothing can be asked; the reconnect wakes it
	}
	if _, err := s.refer(ctx, was); err != nil && !notLive(err) {
		return err // the row of an event knows what was asked for, not what it turned out to be
	}
	if was.Kind == events.KindRepost {
		again := s.publishAgain
		if refused(was.Reason) {
			again = s.acceptRefusal
		}
		return s.lookOr(ctx, was, a, again) // a repost has no container: only the lists can tell
	}
	if was.ContainerID == "" {
		// Nothing is known of a container: Postgres was restored (restore.go). Only the lists can tell.
		return s.lookOr(ctx, was, a, s.buildAgain)
	}
	began := s.now()
	status, err := s.api.ContainerStatus(ctx, a.token, was.ContainerID)
	tried := s.tried("status", began, err)
	crash.At(crash.ConfirmAsked)
	if err != nil {
		switch e := apiError(err); {
		case e != nil && e.Class == threads.Reauthorize:
			s.declareReconnect(ctx, a)
			return s.askLater(ctx, was, "", tried)
		case e != nil && (e.Class == threads.NotReady || e.Class == threads.NotFound):
			return s.lookOr(ctx, was, a, s.afterLoss(was), tried) // unreadable
		}
		return s.askAfter(ctx, was, err, tried)
	}
	tried.Message = statusSentence(status)
	switch status.Status {
	case threads.StatusPublished:
		return s.find(ctx, was, a, tried)
	case threads.StatusFinished:
		return s.finished(ctx, was, a, tried)
	case threads.StatusError, threads.StatusExpired:
		return s.lookOr(ctx, was, a, s.afterLoss(was), tried)
	}
	return s.askLater(ctx, was, "", tried) // IN_PROGRESS, or a word we do not know
}

// find gives a post that is live its id. The lists may lag; the post is not rebuilt, whatever they say.
func (s *Service) find(ctx context.Context, was *Post, a access, tried events.Attempt) error {
	candidates, looked, err := s.look(ctx, was, a)
	if errors.Is(err, errBlind) {
		return s.park(ctx, was, blind(), tried, looked)
	}
	if err != nil {
		return s.askAfter(ctx, was, err, tried, looked)
	}
	switch len(candidates) {
	case 1:
		return s.foundLive(ctx, was, candidates[0], tried, looked)
	case 0:
		return s.askLater(ctx, was, "This post is live, but its id could not be found out; please look at the profile.", tried, looked)
	}
	return s.park(ctx, was, several(), tried, looked)
}

// finished handles a container that is still unpublished.
func (s *Service) finished(ctx context.Context, was *Post, a access, tried events.Attempt) error {
	if was.FinishedSeenAt.IsZero() {
		p := *was
		p.FinishedSeenAt = was.leasedAt
		p.Lease = ""
		p.WakeAt = s.now().Add(min(s.cfg.FinishedApart, backoff(1)))
		if refused(was.Reason) { // an answered refusal leaves no call in flight: settle it on the second reading
			p.WakeAt = s.now().Add(time.Second)
		}
		return s.step(ctx, was, &p, "", tried)
	}
	if refused(was.Reason) {
		return s.lookOr(ctx, was, a, s.acceptRefusal, tried)
	}
	if was.leasedAt.Sub(was.FinishedSeenAt) < s.cfg.FinishedApart || !s.secondCall(was) {
		return s.askLater(ctx, was, "", tried)
	}
	again := s.publishAgain
	if was.NotReady >= len(notReadyWaits) || was.Attempt >= maxCalls {
		again = s.buildAgain // Threads keeps losing this one
	}
	return s.lookOr(ctx, was, a, again, tried)
}

// secondCall says whether an earlier publish call can surely no longer succeed. The database's clock judges: ours may have
// been set since, or the call may have been somebody else's.
func (s *Service) secondCall(p *Post) bool { return !p.leasedAt.Before(s.noCallAfter(p)) }

func (s *Service) noCallAfter(p *Post) time.Time { return p.CallDeadline.Add(s.cfg.SecondCallAfter) }

// refused says that the call was answered with a no, or the post's time is over: that only needs checking, and no call is
// to follow.
func refused(reason *events.Fault) bool { return rejected(reason) || limited(reason) }

// rejected says that the post fails unless it is found live, limited that it waits.
func rejected(reason *events.Fault) bool {
	return reason != nil && (reason.Code == events.Refused || reason.Code == events.Missed)
}

func limited(reason *events.Fault) bool { return reason != nil && reason.Code == events.RateLimited }

// lookOr looks for the post in the account's lists; only a negative look, after every call has surely ended, leads to
// otherwise.
func (s *Service) lookOr(ctx context.Context, was *Post, a access,
	otherwise func(context.Context, *Post, ...events.Attempt) error, tried ...events.Attempt) error {
	candidates, looked, err := s.look(ctx, was, a)
	tried = append(tried, looked)
	switch {
	case errors.Is(err, errBlind):
		return s.park(ctx, was, blind(), tried...)
	case err != nil:
		return s.askAfter(ctx, was, err, tried...)
	case len(candidates) == 1:
		return s.foundLive(ctx, was, candidates[0], tried...)
	case len(candidates) > 1:
		return s.park(ctx, was, several(), tried...)
	case !refused(was.Reason) && !s.secondCall(was):
		return s.askLater(ctx, was, "", tried...)
	}
	return otherwise(ctx, was, tried...)
}

// afterLoss is what becomes of a post whose container can no longer be published, and which is not live: a post that
// Threads refused, or whose time is over, has failed, any other is built anew.
func (s *Service) afterLoss(was *Post) func(context.Context, *Post, ...events.Attempt) error {
	if rejected(was.Reason) {
		return s.acceptRefusal
	}
	return s.buildAgain
}

// publishAgain allows a second call, for the same container where there is one, so many times.
func (s *Service) publishAgain(ctx context.Context, was *Post, tried ...events.Attempt) error {
	if was.Attempt >= maxCalls {
		return s.park(ctx, was, lost(), tried...)
	}
	p := *was
	p.State, p.Lease, p.WakeAt = events.StateReady, "", s.now()
	p.FinishedSeenAt, p.CalledAt = time.Time{}, time.Time{}
	return s.again(ctx, was, &p, tried...)
}

func (s *Service) again(ctx context.Context, was, p *Post, tried ...events.Attempt) error {
	if err := s.step(ctx, was, p, "", tried...); err != nil {
		return err
	}
	crash.At(crash.ConfirmAgain)
	return nil
}

func lost() *events.Fault {
	return events.Faultf(events.Unknown, "Threads lost this post several times; please look at the profile.")
}

// buildAgain starts over with a new container, so many times; then a person must look.
func (s *Service) buildAgain(ctx context.Context, was *Post, tried ...events.Attempt) error {
	if was.Rebuilds >= maxRebuilds {
		return s.park(ctx, was, lost(), tried...)
	}
	p := *was
	p.State, p.Lease, p.WakeAt = events.StateScheduled, "", s.now()
	p.dropContainer()
	p.CalledAt = time.Time{}
	p.Rebuilds++
	return s.again(ctx, was, &p, tried...)
}

// acceptRefusal ends, or postpones, a post that Threads refused and does not show.
func (s *Service) acceptRefusal(ctx context.Context, was *Post, tried ...events.Attempt) error {
	if rejected(was.Reason) {
		return s.fail(ctx, was, was.Reason, tried...)
	}
	a, err := s.access(ctx, was)
	if err != nil {
		return s.askLater(ctx, was, "", tried...)
	}
	wait, err := s.roomAgain(ctx, a, was.spends(), time.Duration(was.Reason.RetryAfter)*time.Second)
	if err != nil {
		return s.askAfter(ctx, was, err, tried...) // which limit it was decides for how long
	}
	if err := giveBack(ctx, s.db, use{PostID: was.ID, Part: was.turn(), Quota: was.spends()}); err != nil {
		return err
	}
	p := *was
	p.CalledAt = time.Time{}
	reason := *was.Reason
	p.Reason = nil // so that postpone tells it
	return s.postponeFrom(ctx, was, &p, reason.After(wait), s.now().Add(wait), tried...)
}

// foundLive concludes with a post that was found among the account's own.
func (s *Service) foundLive(ctx context.Context, was *Post, m threads.Media, tried ...events.Attempt) error {
	called := was.CalledAt
	if called.IsZero() { // the process died with the answer; the claim is the nearest we know
		called = maxTime(was.ClaimedAt, was.PublishAt)
	}
	return s.published(ctx, was, m.ID, m.Permalink, called, s.now(), tried...)
}

// askLater keeps the post unconfirmed and asks again: soon at first, then every few minutes. After ConfirmFor a person
// must look; giveUp is what they are told.
func (s *Service) askLater(ctx context.Context, was *Post, giveUp string, tried ...events.Attempt) error {
	wait := backoff(was.Failures + 1)
	if settled := maxTime(s.noCallAfter(was), was.FinishedSeenAt.Add(s.cfg.FinishedApart)).Sub(was.leasedAt); settled > 0 {
		wait = min(wait, settled) // do not sleep past the moment that settles it
	}
	return s.askIn(ctx, was, wait, giveUp, tried...)
}

// askAfter asks again after a question that failed, not before Threads takes one.
func (s *Service) askAfter(ctx context.Context, was *Post, err error, tried ...events.Attempt) error {
	if e := apiError(err); e != nil && e.Class == threads.Quota {
		return s.askIn(ctx, was, s.cfg.throttled(e.RetryAfter), "", tried...)
	}
	return s.askLater(ctx, was, "", tried...)
}

func (s *Service) askIn(ctx context.Context, was *Post, wait time.Duration, giveUp string, tried ...events.Attempt) error {
	if since := s.now().Sub(maxTime(was.ClaimedAt, was.PublishAt)); since > s.cfg.ConfirmFor {
		if giveUp == "" {
			giveUp = "It could not be found out whether this post is live; please look at the profile."
		}
		return s.park(ctx, was, events.Faultf(events.Unknown, "%s", giveUp), tried...)
	}
	p := *was
	p.Lease = ""
	p.Failures++
	p.WakeAt = s.now().Add(wait)
	if len(tried) > 0 && p.Failures > 20 {
		tried = tried[:0] // the log of a long search need not repeat itself
	}
	return s.step(ctx, was, &p, "", tried...)
}

// unconfirmed moves a post to unconfirmed and tells it.
func (s *Service) unconfirmed(ctx context.Context, was *Post, reason *events.Fault, tried ...events.Attempt) error {
	p := *was
	return s.unconfirmedStep(ctx, was, &p, reason, tried...)
}

func (s *Service) unconfirmedStep(ctx context.Context, was, p *Post, reason *events.Fault, tried ...events.Attempt) error {
	p.State, p.Lease, p.Reason, p.Failures = events.StateUnconfirmed, "", reason, 0
	p.WakeAt = s.now().Add(firstLook)
	return s.stepBy(ctx, crash.ConfirmDoubted, was, p, events.FactUnconfirmed, tried...)
}

// park leaves a post to a person. No automatic call is ever made for it again.
func (s *Service) park(ctx context.Context, was *Post, reason *events.Fault, tried ...events.Attempt) error {
	p := *was
	p.State, p.Lease, p.Reason, p.WakeAt = events.StateParked, "", reason, time.Time{}
	if err := s.step(ctx, was, &p, events.FactParked, tried...); err != nil {
		return err
	}
	s.log.Error("post parked: a person must look", postField(p.ID), accountField(p.AccountID))
	return nil
}

// blind is the reason of a post whose list this connection may not read.
func blind() *events.Fault {
	return events.Faultf(events.MissingScope, "It is not known whether this reply is live, and the connection may not read replies; please look at the profile.")
}

func several() *events.Fault {
	return events.Faultf(events.Unknown, "Several posts on the profile could be this one; please look at the profile.")
}
