package publisher

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/draft"
)

// RetryPost tries a failed post once more, a chain from the part that failed. A post has failed only when it is certain
// that it is not live, so this is no second call for anything.
func (s *Service) RetryPost(ctx context.Context, d bus.Delivery, cmd events.RetryPost) (any, error) {
	return s.ownersMove(ctx, d, cmd, cmd.UserID, cmd.PostID, cmd.IfRev, func(ctx context.Context, tx bun.Tx, p *posts.Post) error {
		switch {
		case p.State != events.StateFailed:
			return events.Faultf(events.Conflict, "Only a failed post can be tried again; this one is %s.", p.State)
		case !p.DeletedAt.IsZero() || !p.DeleteRequestedAt.IsZero():
			return events.Faultf(events.Conflict, "This post was deleted; write a new one.")
		case cmd.PublishAt.Before(d.Meta.Time.Add(-draft.PastGrace)):
			const words = "The time is more than a minute in the past; choose a later one, or leave it out."
			return events.Faultf(events.Invalid, words).At("/scheduledAt", "time_in_past", words)
		}
		account, err := accounts.Get(ctx, tx, p.AccountID)
		if err != nil {
			return err
		}
		if err := account.MayUse(threads.ScopeContentPublish); err != nil {
			return err
		}
		if p.Recalled {
			if _, err := tx.NewUpdate().Model((*posts.Post)(nil)).Set("recalled = false").Where("id = ?", p.ID).Exec(ctx); err != nil {
				return fmt.Errorf("take a recall back: %w", err)
			}
			p.Recalled = false
		}
		p.StartOver()
		p.Reason, p.AcceptedAt = nil, time.Time{}
		p.PublishAt, p.TimeDecision, p.Fact = cmd.PublishAt, string(cmd.TimeDecision), events.FactRetried
		if cmd.TimeZone != "" {
			p.TimeZone = cmd.TimeZone
		}
		p.State = events.StateScheduled
		p.Reschedule(s.cfg.timing())
		return nil
	})
}

// ResolvePost takes a person's word for what no machine could find out: that a parked post is live, and where, or that it
// is not. A live one is checked against Threads as far as that answers.
func (s *Service) ResolvePost(ctx context.Context, d bus.Delivery, cmd events.ResolvePost) (any, error) {
	if cmd.Published {
		if err := s.checkResolved(ctx, cmd); err != nil {
			return nil, err
		}
	}
	return s.ownersMove(ctx, d, cmd, cmd.UserID, cmd.PostID, cmd.IfRev, func(ctx context.Context, tx bun.Tx, p *posts.Post) error {
		if p.State != events.StateParked {
			return events.Faultf(events.Conflict, "Only a parked post needs a person's word; this one is %s.", p.State)
		}
		if !cmd.Published {
			p.EndDoubt(posts.ProofPerson)
			p.State, p.Fact = events.StateConcluding, events.FactFailed
			p.Reason = events.Faultf(events.Refused, "You said that this post is not on the profile. It can be tried again.")
			p.CalledAt, p.AcceptedAt, p.WakeAt = time.Time{}, s.now(), s.now()
			return nil
		}
		known, err := s.store.ClaimedMediaIDs(ctx, tx, p.AccountID, []string{cmd.MediaID})
		if err != nil {
			return err
		}
		if known[cmd.MediaID] {
			const words = "Another post already has this media id."
			return events.Faultf(events.Conflict, words).At("/mediaId", "media_taken", words)
		}
		called := p.CalledAt
		if called.IsZero() {
			called = clock.Latest(p.ClaimedAt, p.PublishAt)
		}
		p.Reason, p.WakeAt = nil, s.now()
		if p.MarkPartPublished(cmd.MediaID, "", called, s.now()) {
			p.State, p.Fact = events.StateScheduled, events.FactPartPublished
			return nil
		}
		p.State, p.Fact = events.StateConcluding, events.FactPublished
		p.CalledAt, p.AcceptedAt = called, s.now()
		return nil
	})
}

// saidToBeLive says that a word is held against Threads before it is taken.
func saidToBeLive(_ context.Context, cmd events.ResolvePost) (bool, error) { return cmd.Published, nil }

// checkResolved asks Threads whether the account has such a post.
func (s *Service) checkResolved(ctx context.Context, cmd events.ResolvePost) error {
	p, err := s.store.Find(ctx, s.db, cmd.UserID, cmd.PostID)
	if err != nil {
		return nil //nolint:nilerr // ownersMove says so, and notes it
	}
	account, err := accounts.Get(ctx, s.db, p.AccountID)
	if err != nil {
		return nil //nolint:nilerr // as above
	}
	unknown := false
	_, err = errand(ctx, s, account, "", func(ctx context.Context, a access) (threads.Media, error) {
		m, err := s.api.Media(ctx, a.token, cmd.MediaID)
		unknown = threads.ClassOf(err) == threads.NotFound || threads.ClassOf(err) == threads.Invalid
		return m, err
	})
	switch {
	case errors.As(err, new(placeTaken)):
		return err
	case unknown:
		const words = "Threads knows no post of this account with this media id; take it from the post's address or from the list of posts."
		return events.Faultf(events.Invalid, words).At("/mediaId", "media_unknown", words)
	}
	return nil // where nobody can look, a person's word is what there is
}

// ownersMove is a person's move on a post that no worker is moving. Row and command are one transaction; then it is woken
// and told.
func (s *Service) ownersMove(ctx context.Context, d bus.Delivery, cmd events.Command, userID, id string, ifRev int64,
	move func(context.Context, bun.Tx, *posts.Post) error) (any, error) {
	id = events.PostIDOf(userID, id)
	if err := s.tellUnsaid(ctx, userID, id); err != nil {
		return nil, err
	}
	var p *posts.Post
	prior, err := s.once(ctx, d, cmd, id, func(ctx context.Context, tx bun.Tx) (any, error) {
		was, err := s.store.Find(ctx, tx, userID, id)
		if err != nil {
			return nil, err
		}
		if ifRev != 0 && ifRev != was.Rev {
			return nil, revMismatch(was)
		}
		if was.State == events.StateConcluding {
			return nil, errSettling
		}
		next := *was
		if err := move(ctx, tx, &next); err != nil {
			return nil, err
		}
		was.Lease, next.Lease = "", ""
		if next.State != events.StateConcluding { // its rev is raised by the event of its end
			next.Rev++
		}
		next.UpdatedAt, next.TraceParent = s.now(), bus.TraceParent(ctx)
		s.willArm(&next)
		if err := s.store.Save(ctx, tx, was, &next); err != nil {
			return nil, err
		}
		p = &next
		return p.Snapshot(), nil
	})
	if err != nil {
		return nil, err
	}
	if prior != nil {
		return s.repeat(ctx, prior)
	}
	if err := s.armAndTell(ctx, p); err != nil {
		return nil, err
	}
	return p.Snapshot(), nil
}

func revMismatch(p *posts.Post) *events.Fault {
	return events.Faultf(events.Conflict, "This post was changed meanwhile; read it again before you change it.").
		At("/ifMatch", "rev_mismatch", "The post is now at revision "+strconv.FormatInt(p.Rev, 10)+".")
}
