package delivery

import (
	"context"
	"errors"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/draft"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// RetryPost tries a failed post once more, a chain from the part that failed. A post has failed only when it is certain
// that it is not live, so this is no second call for anything.
func (o *owners) RetryPost(ctx context.Context, d bus.Delivery, cmd events.RetryPost) (any, error) {
	return o.move(ctx, d, cmd, cmd.UserID, cmd.PostID, cmd.IfRev, nil, func(ctx context.Context, tx bun.Tx, old *posts.Post) (*posts.Post, error) {
		switch {
		case old.State != events.StateFailed:
			return nil, events.Faultf(events.Conflict, "Only a failed post can be tried again; this one is %s.", inWords[old.State])
		case !old.DeletedAt.IsZero() || !old.DeleteRequestedAt.IsZero():
			return nil, events.Faultf(events.Conflict, "This post was deleted; write a new one.")
		case cmd.PublishAt.Before(d.Meta.Time.Add(-draft.PastGrace)):
			const words = "The time is more than a minute in the past; choose a later one, or leave it out."
			return nil, events.Faultf(events.Invalid, words).At("/scheduledAt", "time_in_past", words)
		}
		account, err := accounts.Get(ctx, tx, old.AccountID)
		if err != nil {
			return nil, err
		}
		if err := account.MayUse(threads.ScopeContentPublish); err != nil {
			return nil, err
		}
		if old.Recalled {
			if err := o.store.TakeBackRecall(ctx, tx, old.ID); err != nil {
				return nil, err
			}
		}
		return old.MoveTo(cmd.PublishAt, cmd.TimeDecision).InZone(cmd.TimeZone).Retry(o.cfg.Timing()), nil
	})
}

// ResolvePost takes a person's word for what no machine could find out: that a parked post is live, and where, or that it
// is not. A live one is checked against Threads as far as that answers.
func (o *owners) ResolvePost(ctx context.Context, d bus.Delivery, cmd events.ResolvePost) (any, error) {
	if cmd.Published {
		if err := o.checkResolved(ctx, cmd); err != nil {
			return nil, err
		}
	}
	return o.move(ctx, d, cmd, cmd.UserID, cmd.PostID, cmd.IfRev, nil, func(ctx context.Context, tx bun.Tx, old *posts.Post) (*posts.Post, error) {
		if old.State != events.StateParked {
			return nil, events.Faultf(events.Conflict, "Only a post that waits for your decision can be decided; this one is %s.", inWords[old.State])
		}
		if !cmd.Published {
			return old.ResolveAbsent(events.Faultf(events.Refused, "You said that this post is not on the profile. It can be tried again."), o.now()), nil
		}
		known, err := o.store.ClaimedMediaIDs(ctx, tx, old.AccountID, []string{cmd.MediaID})
		if err != nil {
			return nil, err
		}
		if known[cmd.MediaID] {
			const words = "Another post already has this media id; take the one of this post."
			return nil, events.Faultf(events.Conflict, words).At("/mediaId", "media_taken", words)
		}
		return old.ResolveLive(cmd.MediaID, posts.LikelyCalledAt(old), o.now()), nil
	})
}

// SaidToBeLive says that a word is held against Threads before it is taken.
func SaidToBeLive(_ context.Context, cmd events.ResolvePost) (bool, error) { return cmd.Published, nil }

// checkResolved asks Threads whether the account has such a post.
func (o *owners) checkResolved(ctx context.Context, cmd events.ResolvePost) error {
	p, err := o.store.Find(ctx, o.db, cmd.UserID, cmd.PostID)
	if err != nil {
		return nil //nolint:nilerr // ownersMove says so, and notes it
	}
	account, err := accounts.Get(ctx, o.db, p.AccountID)
	if err != nil {
		return nil //nolint:nilerr // as above
	}
	unknown := false
	_, err = ownercalls.Do(ctx, o.ownerCalls, account, "", func(ctx context.Context, a ownercalls.Access) (threads.Media, error) {
		m, err := o.api.Media(ctx, a.Token, cmd.MediaID)
		unknown = threads.ClassOf(err) == threads.NotFound || threads.ClassOf(err) == threads.Invalid
		return m, err
	})
	switch {
	case errors.As(err, new(ownercalls.NoSlotError)):
		return err
	case unknown:
		const words = "Threads knows no post of this account with this media id; take it from the post's address or from the list of posts."
		return events.Faultf(events.Invalid, words).At("/mediaId", "media_unknown", words)
	}
	return nil // where nobody can look, a person's word is what there is
}

// inWords are the states of a post as its owner would say them.
var inWords = map[events.State]string{
	events.StateScheduled: "scheduled", events.StateReady: "about to go out", events.StateWaiting: "waiting to go out",
	events.StatePublishing: "going out at this moment", events.StateUnconfirmed: "sent, and Threads is being asked whether it is live",
	events.StateConcluding: "being finished at this moment", events.StateParked: "waiting for your decision whether it is live",
	events.StatePublished: "published", events.StateFailed: "failed", events.StateCancelled: "cancelled",
}
