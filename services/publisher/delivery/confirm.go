package delivery

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/delivery/find"
)

// confirmer asks Threads what became of calls.
type confirmer struct {
	cfg        Config
	api        *threads.Client
	store      *posts.Store
	leases     *leases
	tokens     *tokens
	quotas     *quotas
	references *references
	finder     *find.Finder
	moves      *moves
	doubts     *doubts
	concluder  *concluder
	now        func() time.Time
}

// confirm finds out what became of a publish call whose answer is not clear, or may be wrong. It asks Threads, never
// guesses. What follows once the post is proven not to be live is in the row (OnAbsent).
func (c *confirmer) confirm(ctx context.Context, old *posts.Post) (end, error) {
	if err := c.leases.acquire(ctx, old); err != nil {
		return 0, err
	}
	defer c.leases.keep(ctx, old)()
	crash.At(crash.ConfirmLeased)
	if old.State == events.StatePublishing {
		// Its worker is gone. Say so, and ask in the next step.
		return moved, c.doubts.unconfirmed(ctx, old, posts.AbsentRetry, events.Faultf(events.Unknown, "The publisher was interrupted while this post went out; we are asking Threads."))
	}
	a, err := c.tokens.access(ctx, old)
	if err != nil {
		return moved, c.noAccess(ctx, old) // without a token nothing can be asked; the reconnect wakes it
	}
	var ref referenceWaits
	old, _, err = c.references.resolve(ctx, old) // the row of an event knows what was asked for, not what it turned out to be
	switch {
	case errors.As(err, &ref) && ref.mayBeLive:
		return moved, c.waitForReferenceInDoubt(ctx, old, ref)
	case err != nil && !notLive(err):
		return 0, err
	}
	if old.Kind == events.KindRepost || old.ContainerID == "" || !posts.BuiltFromRow(old) || old.Presumed() {
		// There is no container, or not of what the row says now: Postgres was restored. Only the lists can tell.
		return c.findOrEndDoubt(ctx, old, a, old.Kind == events.KindRepost)
	}
	began := c.now()
	status, err := c.api.ContainerStatus(ctx, a.token, old.ContainerID)
	tried := attempted("status", began, c.now(), err)
	crash.At(crash.ConfirmAsked)
	if err != nil {
		switch e := apiError(err); {
		case e != nil && e.Class == threads.Reauthorize:
			c.tokens.declareReconnect(ctx, a)
			return moved, c.noAccess(ctx, old, tried)
		case e != nil && (e.Class == threads.NotReady || e.Class == threads.NotFound):
			return c.findOrEndDoubt(ctx, old, a, false, tried) // unreadable
		}
		return moved, c.askFailed(ctx, old, err, tried)
	}
	tried.Message = statusSentence(status)
	switch status.Status {
	case threads.StatusPublished:
		return c.findMediaID(ctx, old, a, tried)
	case threads.StatusFinished:
		return c.containerFinished(ctx, old, a, tried)
	case threads.StatusError, threads.StatusExpired:
		return c.findOrEndDoubt(ctx, old, a, false, tried)
	}
	return moved, c.askAgain(ctx, old, "", tried) // IN_PROGRESS, or a word we do not know
}

// look looks for the post in the account's lists.
func (c *confirmer) look(ctx context.Context, old *posts.Post, a access) (find.Candidates, asks.Attempt, error) {
	began := c.now()
	seen, err := c.finder.Published(ctx, old, a.account, a.token)
	tried := attempted("look", began, c.now(), err)
	if err == nil {
		tried.Message = seen.Sentence()
	}
	return seen, tried, err
}

// findMediaID gives a post that is live its id. The lists may lag; the post is not rebuilt, whatever they say.
func (c *confirmer) findMediaID(ctx context.Context, old *posts.Post, a access, tried asks.Attempt) (end, error) {
	seen, looked, err := c.look(ctx, old, a)
	if errors.Is(err, find.ErrMissingScope) {
		return moved, c.doubts.park(ctx, old, listNotReadable(), tried, looked)
	}
	if err != nil {
		return moved, c.askFailed(ctx, old, err, tried, looked)
	}
	switch len(seen.Matching) {
	case 1:
		return c.foundLive(ctx, old, a, seen.Matching[0], tried, looked)
	case 0:
		return moved, c.askAgain(ctx, old, "This post is live, but its id could not be found out; please look at the profile.", tried, looked)
	}
	return moved, c.doubts.park(ctx, old, ambiguous(), tried, looked)
}

// containerFinished handles a container that is still unpublished.
func (c *confirmer) containerFinished(ctx context.Context, old *posts.Post, a access, tried asks.Attempt) (end, error) {
	switch {
	case old.OnAbsent == posts.AbsentFail:
		return c.findOrEndDoubt(ctx, old, a, true, tried)
	case old.OnAbsent == posts.AbsentWait && old.NotReady < len(notReadyWaits) && old.Attempt < maxCalls:
		return c.answeredAgain(ctx, old, a, tried)
	case old.FinishedSeenAt.IsZero():
		seen := old.SeeFinished(old.LeasedAt)
		return moved, c.moves.save(ctx, old, seen.LookAgainAt(c.now().Add(min(c.cfg.FinishedApart, c.untilAsked(seen)))), "", tried)
	case old.LeasedAt.Before(c.absenceProvenAt(old)):
		return moved, c.askAgain(ctx, old, "", tried)
	}
	return c.findOrEndDoubt(ctx, old, a, true, tried)
}

// answeredAgain has a container called again whose last call was refused for what passes, once it has passed. The doubt
// stands, so it is this container or none (publish.go looks at it once more).
func (c *confirmer) answeredAgain(ctx context.Context, old *posts.Post, a access, tried asks.Attempt) (end, error) {
	wait, full, err := c.quotas.roomAgain(ctx, a, posts.QuotaOf(old), 0)
	if !full {
		wait = 0 // what the answer asked for was waited for before
	}
	switch {
	case err != nil:
		return moved, c.askFailed(ctx, old, err, tried)
	case full && old.LeasedAt.Before(c.absenceProvenAt(old)):
		return moved, c.askAgain(ctx, old, "", tried)
	case full: // that lasts for hours: what waits so long is not to be in doubt
		return c.findOrEndDoubt(ctx, old, a, true, tried)
	}
	return moved, c.callAgainLater(ctx, old, old.CallUnpublished(c.now().Add(wait)), tried)
}

// absenceProvenAt is when a look that does not find the post proves it absent: every call has surely ended, and FINISHED, where it
// was read, was read twice with a pause between. By the database's clock: ours may have been set since.
func (c *confirmer) absenceProvenAt(p *posts.Post) time.Time {
	if p.Presumed() {
		return time.Time{}
	}
	moment := p.CallDeadline.Add(c.cfg.SecondCallAfter)
	if !p.FinishedSeenAt.IsZero() {
		moment = clock.Latest(moment, p.FinishedSeenAt.Add(c.cfg.FinishedApart))
	}
	return moment
}

// findOrEndDoubt looks for the post in the account's lists. Only a look that finds neither it nor anything that could be it, after
// every call has surely ended, ends the doubt. usable says that the container can still be published.
func (c *confirmer) findOrEndDoubt(ctx context.Context, old *posts.Post, a access, usable bool, tried ...asks.Attempt) (end, error) {
	seen, looked, err := c.look(ctx, old, a)
	tried = append(tried, looked)
	switch {
	case errors.Is(err, find.ErrMissingScope) && !old.Presumed():
		return moved, c.doubts.park(ctx, old, listNotReadable(), tried...)
	case err != nil && !errors.Is(err, find.ErrMissingScope):
		return moved, c.askFailed(ctx, old, err, tried...)
	case len(seen.Matching) == 1:
		return c.foundLive(ctx, old, a, seen.Matching[0], tried...)
	case len(seen.Matching) > 1:
		return moved, c.doubts.park(ctx, old, ambiguous(), tried...)
	case old.LeasedAt.Before(c.absenceProvenAt(old)):
		return moved, c.askAgain(ctx, old, "", tried...)
	case len(seen.Similar) > 0 && !old.Presumed():
		return moved, c.doubts.park(ctx, old, similar(), tried...)
	}
	return c.provenAbsent(ctx, old, usable, tried...)
}

// provenAbsent is what becomes of a post that is proven not to be live.
func (c *confirmer) provenAbsent(ctx context.Context, old *posts.Post, usable bool, tried ...asks.Attempt) (end, error) {
	switch old.OnAbsent {
	case posts.AbsentFail:
		return c.concluder.conclude(ctx, old, old.WithoutDoubt(posts.ProofAbsent).Fail(old.Reason, c.now()), access{}, tried...)
	case posts.AbsentResume:
		return moved, c.resumeAgain(ctx, old, tried...)
	case posts.AbsentWait:
		return moved, c.waitForRoom(ctx, old, usable, tried...)
	}
	if usable && old.NotReady < len(notReadyWaits) && old.Attempt < maxCalls {
		return moved, c.publishAgain(ctx, old, tried...)
	}
	return moved, c.buildAgain(ctx, old, tried...) // Threads keeps losing this container
}

// publishAgain allows a second call, for the same container where there is one, so many times.
func (c *confirmer) publishAgain(ctx context.Context, old *posts.Post, tried ...asks.Attempt) error {
	if old.Attempt >= maxCalls {
		return c.doubts.park(ctx, old, lostSeveralTimes(), tried...)
	}
	return c.callAgainLater(ctx, old, old.PublishAgain(c.now()), tried...)
}

func (c *confirmer) callAgainLater(ctx context.Context, old, next *posts.Post, tried ...asks.Attempt) error {
	if err := c.moves.save(ctx, old, next, "", tried...); err != nil {
		return err
	}
	crash.At(crash.ConfirmAgain)
	return nil
}

// buildAgain starts over with a new container, so many times; then a person must look.
func (c *confirmer) buildAgain(ctx context.Context, old *posts.Post, tried ...asks.Attempt) error {
	if old.Kind == events.KindRepost {
		return c.publishAgain(ctx, old, tried...)
	}
	if old.Rebuilds >= maxRebuilds {
		return c.doubts.park(ctx, old, lostSeveralTimes(), tried...)
	}
	return c.callAgainLater(ctx, old, old.BuildAgain(c.now()), tried...)
}

// resumeAgain takes up a post of which no call was known, and none was made.
func (c *confirmer) resumeAgain(ctx context.Context, old *posts.Post, tried ...asks.Attempt) error {
	return c.callAgainLater(ctx, old, old.ResumeUncalled(c.now()), tried...)
}

// waitForRoom postpones a post that Threads refused for a limit and does not show.
func (c *confirmer) waitForRoom(ctx context.Context, old *posts.Post, usable bool, tried ...asks.Attempt) error {
	a, err := c.tokens.access(ctx, old)
	if err != nil {
		return c.noAccess(ctx, old, tried...)
	}
	wait, _, err := c.quotas.roomAgain(ctx, a, posts.QuotaOf(old), 0) // which limit it was decides for how long
	if err != nil {
		return c.askFailed(ctx, old, err, tried...)
	}
	reason := *old.Reason
	next, fact := old.WaitForRoom(usable, reason.After(wait), c.now().Add(wait))
	return c.moves.save(ctx, old, next, fact, tried...)
}

// foundLive concludes with a post that was found among the account's own.
func (c *confirmer) foundLive(ctx context.Context, old *posts.Post, a access, m threads.Media, tried ...asks.Attempt) (end, error) {
	return c.concluder.recordSuccess(ctx, old, a, m.ID, m.Permalink, posts.LikelyCalledAt(old), c.now(), tried...)
}

// askAgain keeps the post unconfirmed after a look that settled nothing. After ConfirmFor a person must look; giveUp is what
// they are told.
func (c *confirmer) askAgain(ctx context.Context, old *posts.Post, giveUp string, tried ...asks.Attempt) error {
	if c.confirmOver(old) {
		return c.gaveUp(ctx, old, giveUp, tried...)
	}
	next := old.LookAgainAt(c.now().Add(c.untilAsked(old)))
	if old.LeasedAt.Sub(posts.AskedSince(old)) > time.Hour {
		tried = nil // the log of a long search need not repeat itself
	}
	return c.moves.save(ctx, old, next, "", tried...)
}

// askFailed keeps the post unconfirmed after a look that failed. Failures count apart from looks: the first after a good
// one costs a second, not minutes.
func (c *confirmer) askFailed(ctx context.Context, old *posts.Post, err error, tried ...asks.Attempt) error {
	if c.confirmOver(old) {
		return c.gaveUp(ctx, old, "", tried...)
	}
	return c.moves.save(ctx, old, old.TryAgainAt(c.now().Add(c.cfg.pauseAfter(err, old.Failures+1))), "", tried...)
}

// noAccess keeps a post unconfirmed whose account has to be connected again, for as long as that could still help. The
// reconnect wakes it; until then there is no need to look often.
func (c *confirmer) noAccess(ctx context.Context, old *posts.Post, tried ...asks.Attempt) error {
	if c.confirmOver(old) && c.now().After(old.Expires()) {
		return c.gaveUp(ctx, old, "", tried...)
	}
	wait := clock.Backoff(old.Failures + 1)
	if old.Failures >= 3 {
		wait = reconnectLook
	}
	return c.moves.save(ctx, old, old.TryAgainAt(c.now().Add(wait)), "", tried...)
}

// waitForReferenceInDoubt keeps a post unconfirmed that is to be looked for at another one of which it is not known either whether it is
// live: without the other's id no list could show it.
func (c *confirmer) waitForReferenceInDoubt(ctx context.Context, old *posts.Post, ref referenceWaits) error {
	if c.confirmOver(old) {
		return c.gaveUp(ctx, old, "")
	}
	return c.moves.save(ctx, old, old.TryAgainAt(c.now().Add(ref.pause(c.now(), c.cfg.RefLook))), "")
}

func (c *confirmer) gaveUp(ctx context.Context, old *posts.Post, why string, tried ...asks.Attempt) error {
	return c.doubts.park(ctx, old, events.Faultf(events.Unknown, "%s",
		cmp.Or(why, "It could not be found out whether this post is live; please look at the profile.")), tried...)
}

// confirmOver says that the outcome has been asked for long enough. Where no call is known of the post may still go out, so
// there is nothing to give up before its time is over, nor at the first failure after a long outage.
func (c *confirmer) confirmOver(p *posts.Post) bool {
	if p.Presumed() {
		return p.Failures >= presumedTries && c.now().Sub(p.Expires()) > c.cfg.ConfirmFor
	}
	return c.now().Sub(clock.Latest(p.CallDeadline, p.PublishAt)) > c.cfg.ConfirmFor
}

// presumedTries is how often at least it is tried to look for a post of which no call is known.
const presumedTries = 4

// untilAsked is the pause before the next look: seconds after the claim, then longer, up to the moment that settles it; from
// there on seconds again. All by the database's clock.
func (c *confirmer) untilAsked(p *posts.Post) time.Duration {
	spread := func(age time.Duration) time.Duration { return min(max(age/2, time.Second), 5*time.Minute) }
	moment, began := c.absenceProvenAt(p), posts.AskedSince(p)
	if before := moment.Sub(p.LeasedAt); before > 0 {
		return min(spread(p.LeasedAt.Sub(began)), before)
	}
	return spread(p.LeasedAt.Sub(clock.Latest(moment, began)))
}
