package publisher

import (
	"context"
	"errors"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

// recordSuccess notes a clear yes. It is in the row before anyone is told, so no crash can lose it. A part of a chain that
// is not the last is told as such, and the next one's turn comes.
func (s *Service) recordSuccess(ctx context.Context, old *posts.Post, mediaID, permalink string, called, accepted time.Time, tried ...events.Attempt) error {
	if old.CurrentPart() == 0 {
		s.measureLateness(old, called)
	}
	if old.IsChain() {
		// A table cannot hold the ids of parts unique as it does for whole posts.
		known, err := s.store.ClaimedMediaIDs(ctx, s.db, old.AccountID, []string{mediaID})
		if err != nil {
			return err
		}
		if known[mediaID] {
			return s.park(ctx, old, sameMedia(), tried...)
		}
	}
	next, more := old.Publish(mediaID, permalink, called, accepted, s.now())
	if !more {
		return s.conclude(ctx, old, next, tried...)
	}
	if err := s.stepBy(ctx, crash.PartNoted, old, next, events.FactPartPublished, tried...); err != nil {
		return err
	}
	crash.At(crash.PartTold)
	return nil
}

func sameMedia() *events.Fault {
	return events.Faultf(events.Unknown, "Threads gave this post an id that another post already has; please look at the profile.")
}

// fail notes that a post will not go out, and why.
func (s *Service) fail(ctx context.Context, old *posts.Post, reason *events.Fault, tried ...events.Attempt) error {
	return s.conclude(ctx, old, old.Fail(reason, s.now()), tried...)
}

// conclude notes an answer and tells it. rev stays: it is raised by the event, when the projector applies it.
func (s *Service) conclude(ctx context.Context, old, p *posts.Post, tried ...events.Attempt) error {
	p.UpdatedAt = s.now()
	p.WakeAt = s.now().Add(s.cfg.Lease + time.Second) // when this worker is gone, the next tells it
	p.ArmedAt = time.Time{}
	err := s.saveOutcome(ctx, old, p, tried)
	if errors.Is(pg.Map(err), pg.ErrExists) {
		// Another row of this account has this media id. One of the two is wrong, and no machine can say which.
		return s.park(ctx, old, sameMedia(), tried...)
	}
	if err != nil {
		return err
	}
	crash.At(crash.PublishNoted)
	// What is still to be told of the post comes before its end, but nothing of it may stand before the end for good.
	if err := s.flushOutbox(ctx, old); err != nil {
		s.log.Warn("a change is told only with the outcome", postField(p.ID), errField(err))
	}
	return s.finishOutcome(ctx, p)
}

// saveOutcome writes the answer into the row: a plain yes together with those of other posts, anything else by itself.
func (s *Service) saveOutcome(ctx context.Context, old, p *posts.Post, tried []events.Attempt) error {
	if p.Fact == events.FactPublished && !p.IsChain() && old.State == events.StatePublishing {
		if err := s.outcomes.Do(ctx, posts.Outcome{Old: old, Next: p, Tried: tried}); !errors.Is(err, batch.ErrAlone) {
			return err
		}
	}
	return s.store.SaveStep(ctx, old, p, tried...)
}

// finishOutcome tells the noted answer and has the projector apply it; then the post is done. It runs again after a crash, to
// the same effect.
func (s *Service) finishOutcome(ctx context.Context, p *posts.Post) error {
	if p.Fact == events.FactPublished {
		if err := s.fetchPermalinks(ctx, p); err != nil {
			return err
		}
	}
	crash.At(crash.PublishTelling)
	ev := posts.OutcomeEvent(p, p.Fact)
	if there, err := s.emittedLongAgo(ctx, p, ev); err != nil {
		return err
	} else if there {
		return s.applied(ctx, ev)
	}
	if err := s.emit(ctx, ev); errors.Is(err, errAlreadyEmitted) {
		if err := s.projector.ApplyStanding(ctx, p, ev.Subject()); err != nil {
			return err
		}
		return errDone
	} else if err != nil {
		return err
	}
	crash.At(crash.PublishTold)
	return s.applied(ctx, ev)
}

// emittedLongAgo says whether a failure stands on EVENTS already: Postgres may have been away since it was told, for longer
// than JetStream knows a repeat. A second PostPublished is refused by the stream itself.
func (s *Service) emittedLongAgo(ctx context.Context, p *posts.Post, ev events.PostEvent) (bool, error) {
	if p.Fact != events.FactFailed || s.now().Sub(p.UpdatedAt) < republishAfter {
		return false, nil
	}
	return s.bus.Emitted(ctx, ev)
}

// applied has the outcome that stands on EVENTS applied to the row.
func (s *Service) applied(ctx context.Context, ev events.PostEvent) error {
	// The projector will read the event from the stream as well, and find it applied. Doing it here too means that
	// whoever waits for the outcome gets it now, and that a GET right after says POSTED.
	if err := s.projector.ApplyNow(ctx, ev); err != nil {
		return err
	}
	crash.At(crash.PublishApplied)
	return errDone
}

// fetchPermalinks asks for the permalinks of a live post that are not known yet, for a few seconds: they may lag
// (threads-api §5.4). They are in the row before they travel in the event. A post whose link does not come is no less
// live, and the link is looked for later (ended.go), as it is where many wait for theirs: a wake-up in hand is not for that.
func (s *Service) fetchPermalinks(ctx context.Context, p *posts.Post) error {
	wanted, links := p.WithoutPermalink(), map[string]string{}
	if len(wanted) == 0 {
		return nil
	}
	release, _ := s.permalinks.Hold(p.UserID, p.AccountID, s.now)
	if release == nil {
		return nil
	}
	defer release()
	waiting, cancel := context.WithTimeout(ctx, s.cfg.PermalinkWait)
	defer cancel()
	a, err := s.access(waiting, p)
	for wait := 200 * time.Millisecond; err == nil; wait *= 2 {
		for id := range wanted {
			media, err := s.api.Media(waiting, a.token, id)
			if e := apiError(err); e != nil && e.Class == threads.Quota {
				wait = max(wait, s.cfg.throttled(e.RetryAfter))
			}
			if err == nil && media.Permalink != "" {
				links[id] = media.Permalink
				delete(wanted, id)
			}
		}
		if len(wanted) == 0 {
			break
		}
		select {
		case <-time.After(wait):
		case <-waiting.Done():
			err = waiting.Err()
		}
	}
	if err != nil {
		s.log.Info("told as published without a permalink", postField(p.ID), errField(err))
	}
	next, found := p.SetPermalinks(links)
	if !found {
		return nil
	}
	err = s.links.Do(ctx, next)
	if errors.Is(err, batch.ErrAlone) {
		err = s.store.SavePermalink(ctx, s.db, next)
	}
	switch {
	case errors.Is(err, posts.ErrLost):
		return err
	case err != nil:
		s.log.Warn("told as published without its permalink, which could not be saved", postField(p.ID), errField(err))
		return nil
	}
	*p = *next
	return nil
}
