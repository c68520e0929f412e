package publisher

import (
	"context"
	"errors"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/pg"
)

// published notes a clear yes. It is in the row before anyone is told, so no crash can lose it.
func (s *Service) published(ctx context.Context, was *Post, mediaID string, called, accepted time.Time, tried ...events.Attempt) error {
	p := *was
	p.State, p.Fact, p.Reason = events.StateConcluding, events.FactPublished, nil
	p.MediaID, p.CalledAt, p.AcceptedAt = mediaID, called, accepted
	return s.conclude(ctx, was, &p, tried...)
}

// fail notes that a post will not go out, and why.
func (s *Service) fail(ctx context.Context, was *Post, reason *events.Fault, tried ...events.Attempt) error {
	p := *was
	p.State, p.Fact, p.Reason = events.StateConcluding, events.FactFailed, reason
	p.CalledAt, p.AcceptedAt = time.Time{}, s.now()
	return s.conclude(ctx, was, &p, tried...)
}

// conclude notes an answer and tells it. rev stays: it is raised by the event, when the recorder applies it.
func (s *Service) conclude(ctx context.Context, was, p *Post, tried ...events.Attempt) error {
	p.UpdatedAt = s.now()
	p.WakeAt = s.now().Add(concludeRetry)
	p.ArmedAt = time.Time{}
	err := s.store.move(ctx, was, p, tried...)
	if errors.Is(pg.Map(err), pg.ErrExists) {
		// Another row of this account has this media id. One of the two is wrong, and no machine can say which.
		return s.park(ctx, was, events.Faultf(events.Unknown, "Threads gave this post an id that another post already has; please look at the profile."), tried...)
	}
	if err != nil {
		return err
	}
	return s.concluded(ctx, p)
}

// concluded tells the noted answer and has the recorder apply it. It runs again after a crash, to the same effect.
func (s *Service) concluded(ctx context.Context, p *Post) error {
	if p.Fact == events.FactPublished && p.Permalink == "" {
		s.fetchPermalink(ctx, p)
	}
	told := *p
	told.Rev++
	told.State = events.StateFailed
	if p.Fact == events.FactPublished {
		told.State = events.StatePublished
	}
	told.UpdatedAt = told.AcceptedAt
	ev := events.NewPostEvent(p.Fact, told.Snapshot())
	if err := s.emit(ctx, ev); errors.Is(err, errTold) {
		return nil
	} else if err != nil {
		return err
	}
	// The recorder will read the event from the stream as well, and find it applied. Doing it here too means that
	// whoever waits for the outcome gets it now, and that a GET right after says POSTED.
	return s.recorder.applyNow(ctx, ev)
}

// fetchPermalink asks for the permalink of a live post, for a few seconds: it may lag (threads-api §5.4). A post whose
// link does not come is no less live.
func (s *Service) fetchPermalink(ctx context.Context, p *Post) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.PermalinkWait)
	defer cancel()
	a, err := s.access(ctx, p)
	for wait := 200 * time.Millisecond; err == nil; wait *= 2 {
		media, mediaErr := s.api.Media(ctx, a.token, p.MediaID)
		if mediaErr == nil && media.Permalink != "" {
			p.Permalink = media.Permalink
			if err := s.store.setPermalink(ctx, p); err != nil {
				s.log.Warn("permalink not noted", postField(p.ID), errField(err))
			}
			return
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	s.log.Warn("told as published without a permalink", postField(p.ID), errField(err))
}
