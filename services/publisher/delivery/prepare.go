package delivery

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/limiter"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/breaker"
	"github.com/omni-write/threads/services/publisher/delivery/pace"
	"github.com/omni-write/threads/services/publisher/draft"
)

// preparer makes the containers of posts.
type preparer struct {
	cfg        Config
	api        *threads.Client
	store      *posts.Store
	leases     *leases
	tokens     *tokens
	quotas     *quotas
	references *references
	moves      *moves
	doubts     *doubts
	waits      *waits
	snoozes    *snoozes
	concluder  *concluder
	creations  *limiter.Limiter
	pacer      *pace.Pacer
	now        func() time.Time
}

// prepare builds the post's container ahead of its time: that is what lets the publish call leave on the instant, and
// what shows a refusal to its owner before the hour. It does one thing at a time (create, then look) and saves each
// container id as it comes; between two looks nobody sleeps, the post is woken again.
func (r *preparer) prepare(ctx context.Context, old *posts.Post) (end, error) {
	if old.Doubt { // of a release before this one: nothing is built for a post that may be live
		return moved, r.doubts.unconfirmed(ctx, old, posts.AbsentRetry, unclearAnswer())
	}
	if r.now().After(old.Expires()) {
		return r.waits.missed(ctx, old)
	}
	if err := r.leases.acquire(ctx, old); err != nil {
		return 0, err
	}
	defer r.leases.keep(ctx, old)()
	a, err := r.tokens.access(ctx, old)
	if err != nil {
		return r.waits.waitForToken(ctx, old, err)
	}
	crash.At(crash.PrepareLeased)
	if old.ContainerID == "" && len(old.Children) == 0 && old.PublishAt.Add(-r.cfg.Timing().Lead(old)).After(r.now()) {
		// It was woken because something changed for its account.
		return moved, r.moves.save(ctx, old, old.Released().ScheduleAnew(r.cfg.Timing()), "")
	}
	if next, found, err := r.references.resolve(ctx, old); err != nil {
		return r.waits.waitForReference(ctx, old, err)
	} else if found {
		return moved, r.moves.save(ctx, old, next.SnoozeUntil(r.now()), "")
	}
	if old.Kind != events.KindRepost {
		if end, err := r.build(ctx, old, a); end != goesOn || err != nil {
			return end, err
		}
		if end, err := r.tryParts(ctx, old, a); end != goesOn || err != nil {
			return end, err
		}
	}
	fact := events.PostFact("")
	if old.CurrentPart() == 0 {
		fact = events.FactPrepared // later parts follow their parent at once; who reads EVENTS is told of those that are live
	}
	at := clock.Latest(r.now(), old.PublishAt.Add(-posts.Hold)) // for a later part it is past, unless its chain is tried again
	next := old.Prepare(at)
	if err := r.moves.saveAt(ctx, crash.PrepareReady, old, next, fact); err != nil {
		return 0, err
	}
	crash.At(crash.PrepareTold)
	return r.snoozes.untilDue(ctx, next)
}

// build makes the containers of the part in hand, one at a time, and looks whether they are ready. The step goes on once the
// last is FINISHED.
func (r *preparer) build(ctx context.Context, old *posts.Post, a access) (end, error) {
	_, media := old.Content()
	carousel := len(media) > 1
	if (old.ContainerID != "" || len(old.Children) > 0) && !posts.BuiltFromRow(old) {
		return moved, r.moves.discardContainer(ctx, old)
	}
	switch {
	case carousel && len(old.Children) < len(media):
		return r.create(ctx, old, a, draft.CarouselItem(old))
	case old.ContainerID == "" && carousel:
		// Threads refuses a carousel whose children are not all FINISHED (100/4279004).
		for _, child := range old.Children {
			if end, err := r.inspect(ctx, old, a, child); end != goesOn || err != nil {
				return end, err
			}
		}
		return r.create(ctx, old, a, draft.Container(old))
	case old.ContainerID == "":
		return r.create(ctx, old, a, draft.Container(old))
	}
	return r.inspect(ctx, old, a, old.ContainerID)
}

// create makes one container and saves its id before anything else. A container whose id is lost on the way is an
// orphan without effect: only a saved one is ever published.
func (r *preparer) create(ctx context.Context, old *posts.Post, a access, c threads.Container) (end, error) {
	began := r.now()
	asked := ctx
	if c.ImageURL != "" || c.VideoURL != "" {
		asked = breaker.Fetching(ctx, old.AccountID)
	}
	r.pacer.Spend(old.AccountID, began)
	id, err := r.api.CreateContainer(asked, a.token, c)
	tried := attempted("create", began, r.now(), err)
	if err != nil {
		return r.refusedAhead(ctx, old, a, err, tried)
	}
	crash.At(crash.PrepareCreated)
	now := r.now()
	next := old.AddContainer(id, now, now.Add(firstLookAfter(old, now)))
	if c.IsCarouselItem {
		next = old.AddChild(id, now, now.Add(firstLookAfter(old, now)))
	}
	if err := r.moves.save(ctx, old, next, "", tried); err != nil {
		return 0, err
	}
	crash.At(crash.PrepareSaved)
	return r.snoozes.untilDue(ctx, next)
}

// inspect reads a container's status. The step goes on when it is FINISHED.
func (r *preparer) inspect(ctx context.Context, old *posts.Post, a access, containerID string) (end, error) {
	began := r.now()
	r.pacer.Spend(old.AccountID, began)
	status, err := readStatus(ctx, r.api, old, r.now(), a, containerID)
	tried := attempted("status", began, r.now(), err)
	if err != nil {
		if e := apiError(err); e != nil && e.Class == threads.NotReady && r.now().Sub(old.ContainerAt) < notVisibleFor {
			return moved, r.inspectAgain(ctx, old, tried) // a fresh container may not be visible yet
		}
		if e := apiError(err); e != nil && (e.Class == threads.NotReady || e.Class == threads.NotFound) {
			return r.rebuild(ctx, old, tried)
		}
		return r.refusedAhead(ctx, old, a, err, tried)
	}
	crash.At(crash.PrepareInspected)
	tried.Message = statusSentence(status)
	switch status.Status {
	case threads.StatusFinished:
		return goesOn, nil
	case threads.StatusInProgress:
		if r.now().Sub(old.ContainerAt) > processingLimit(old) {
			return r.rebuild(ctx, old, tried)
		}
		return moved, r.inspectAgain(ctx, old, tried)
	case threads.StatusError:
		tried.OK = false
		if status.ErrorMessage == "UNKNOWN" || status.ErrorMessage == "" {
			return r.rebuild(ctx, old, tried) // says nothing; a second container often works
		}
		return r.concluder.fail(ctx, old, events.Faultf(events.Refused, "Threads could not process the media (%s); replace the file and post again.",
			strings.ReplaceAll(strings.ToLower(status.ErrorMessage), "_", " ")), tried)
	case threads.StatusPublished:
		// Nobody of ours published it: that only follows a claim. Ask, as after any unknown outcome.
		return moved, r.doubts.unconfirmed(ctx, old, posts.AbsentRetry, alreadyLive(), tried)
	default: // EXPIRED, or a word we do not know
		return r.rebuild(ctx, old, tried)
	}
}

// notVisibleFor is how long a fresh container may answer 24/4279009 to a status read.
const notVisibleFor = time.Minute

// processingLimit is how long a container may stay IN_PROGRESS before it is given up.
func processingLimit(p *posts.Post) time.Duration {
	_, media := p.Content()
	for _, m := range media {
		if m.Type == events.Video {
			return 30 * time.Minute
		}
	}
	return 10 * time.Minute
}

// inspectAgain waits for the next look.
func (r *preparer) inspectAgain(ctx context.Context, old *posts.Post, tried asks.Attempt) error {
	pause := lookAfter(old, r.now())
	next := old.LookAgainAt(r.now().Add(pause))
	if r.now().Sub(old.ContainerAt) < 2*pause {
		return r.moves.save(ctx, old, next, "", tried)
	}
	return r.moves.save(ctx, old, next, "") // not every look is worth a line in the log
}

// rebuild gives a container up and starts anew, so many times.
func (r *preparer) rebuild(ctx context.Context, old *posts.Post, tried ...asks.Attempt) (end, error) {
	if old.Rebuilds >= maxRebuilds {
		return r.concluder.fail(ctx, old, events.Faultf(events.Refused, "Threads did not finish processing this post after several tries; check the media and post again."), tried...)
	}
	return moved, r.moves.save(ctx, old, old.Rebuild(r.now().Add(time.Second)), "", tried...)
}

// refusedAhead handles an error before publishing, where nothing can have gone live: a refusal for good fails the post
// now, everything else is tried again or waits with a reason.
func (r *preparer) refusedAhead(ctx context.Context, old *posts.Post, a access, err error, tried asks.Attempt) (end, error) {
	if errors.Is(err, breaker.ErrDown) {
		return moved, r.waits.waitForThreads(ctx, old, old)
	}
	e := apiError(err)
	class := threads.Transient
	if e != nil {
		class = e.Class
	}
	switch class {
	case threads.Invalid:
		return r.concluder.fail(ctx, old, &events.Fault{Code: events.Refused, Message: e.Sentence}, tried)
	case threads.NotFound:
		if e.Op == threads.OpCreate {
			return r.waits.parentUnseen(ctx, old, e, tried)
		}
	case threads.Permission: // code 10 also comes when nothing is missing: it is believed when it lasts
		if old.Failures < permissionTries {
			break
		}
		return r.concluder.fail(ctx, old, &events.Fault{Code: events.MissingScope, Message: e.Sentence}, tried)
	case threads.Reauthorize:
		return moved, r.waits.reconnect(ctx, old, a, tried)
	case threads.Quota:
		wait := r.quotas.heldBack(ctx, a, posts.QuotaOf(old), e)
		wait = min(wait, max(old.PublishAt.Sub(r.now()), r.cfg.throttled(e.RetryAfter))) // at its hour there may be room
		return moved, r.waits.postpone(ctx, old, (&events.Fault{Code: events.RateLimited, Message: e.Sentence}).After(wait), r.now().Add(wait), tried)
	case threads.Blocked:
		return moved, r.waits.postpone(ctx, old, &events.Fault{Code: events.Refused, Message: e.Sentence}, r.now().Add(time.Hour), tried)
	}
	// Transient. The owner hears of it when it lasts.
	wait := clock.Backoff(old.Failures + 1)
	if old.Failures >= 3 {
		reason := threadsDown()
		if e != nil && e.Subcode == codeMediaHost {
			reason = events.Faultf(events.Unavailable, "Threads cannot fetch the media from its address; this post goes out as soon as it can.")
		}
		return moved, r.waits.postponeFrom(ctx, old, old.CountFailure(), reason, r.now().Add(wait), tried)
	}
	return moved, r.moves.save(ctx, old, old.TryAgainAt(r.now().Add(wait)), "", tried)
}

// codeMediaHost is the subcode of media that Threads could not fetch (threads-api §9.3).
const codeMediaHost = 2207052

// permissionTries is how often a missing permission must be answered in a row before it counts.
const permissionTries = 3
