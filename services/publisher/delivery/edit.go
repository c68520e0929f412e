package delivery

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/draft"
)

// EditPost changes what a post says, or when. It wins or it says that it lost. What failed can be changed before it is tried
// again, but for the parts of a chain that are live.
func (o *owners) EditPost(ctx context.Context, d bus.Delivery, cmd events.EditPost) (any, error) {
	return o.move(ctx, d, cmd, cmd.UserID, cmd.PostID, cmd.IfRev, mayEdit, func(ctx context.Context, tx bun.Tx, old *posts.Post) (*posts.Post, error) {
		before := posts.DraftOf(old)
		after, err := draft.Edited(before, cmd)
		if err != nil {
			return nil, err
		}
		if fault := o.drafts.Check(after); fault != nil {
			return nil, fault
		}
		if after.Location != before.Location {
			account, err := accounts.Get(ctx, tx, old.AccountID)
			if err != nil {
				return nil, err
			}
			if err := draft.MayPost(account, after); err != nil {
				return nil, err
			}
		}
		if old.State == events.StateFailed {
			return o.editFailed(old, before, o.drafts.WithDefaults(after), cmd)
		}
		next := old.InZone(cmd.TimeZone)
		if cmd.PublishAt != nil {
			if cmd.PublishAt.Before(d.Meta.Time.Add(-draft.PastGrace)) {
				return nil, events.Faultf(events.Invalid, "The new time of this post has passed; choose a later one.").
					At("/scheduledAt", "time_in_past", "The time is more than a minute in the past; choose a later one.")
			}
			next = next.MoveTo(*cmd.PublishAt, cmd.TimeDecision)
		}
		same, err := draft.SameContent(after, before)
		if err != nil {
			return nil, err
		}
		next = next.Edit(o.drafts.WithDefaults(after), same, o.cfg.Timing())
		return next, draft.CheckSize(next)
	})
}

// mayEdit says why an owner can no longer change a post, or nil.
func mayEdit(p *posts.Post) error {
	switch {
	case p.State == events.StateConcluding && p.Fact == events.FactFailed:
		return nil // in a moment it has failed, and until then no move of an owner's is made
	case p.State != events.StateFailed:
		return stillOpen(p)
	case !p.DeletedAt.IsZero() || !p.DeleteRequestedAt.IsZero():
		return events.Faultf(events.Conflict, "This post was deleted; write a new one.")
	}
	return nil
}

// editFailed changes what failed. It stays failed until it is tried again, which gives it its time.
func (o *owners) editFailed(old *posts.Post, before, after events.Draft, cmd events.EditPost) (*posts.Post, error) {
	if cmd.PublishAt != nil || cmd.TimeZone != "" {
		const words = "A post that failed gets its time when it is tried again; leave the time out here."
		return nil, events.Faultf(events.Invalid, words).At("/scheduledAt", "not_of_a_failed_post", words)
	}
	if old.PartlyPublished() {
		live := old.CurrentPart()
		const words = "The parts that are live stay as they are, with what else the post has; change those that follow them, or delete it."
		if len(after.Parts) <= live {
			return nil, events.Faultf(events.Conflict, words).At("/parts", "part_is_live", words)
		}
		was, is := before, after
		was.Parts, is.Parts = before.Parts[:live], after.Parts[:live]
		same, err := draft.SameContent(was, is)
		if err != nil {
			return nil, err
		}
		if !same {
			return nil, events.Faultf(events.Conflict, words).At("/parts", "part_is_live", words)
		}
	}
	next := old.EditFailed(after)
	return next, draft.CheckSize(next)
}
