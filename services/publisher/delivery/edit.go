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

// EditPost changes what a post says, or when. It wins or it says that it lost.
func (o *owners) EditPost(ctx context.Context, d bus.Delivery, cmd events.EditPost) (any, error) {
	return o.move(ctx, d, cmd, cmd.UserID, cmd.PostID, cmd.IfRev, stillOpen, func(ctx context.Context, tx bun.Tx, old *posts.Post) (*posts.Post, error) {
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
		next := old.InZone(cmd.TimeZone)
		if cmd.PublishAt != nil {
			if cmd.PublishAt.Before(d.Meta.Time.Add(-draft.PastGrace)) {
				return nil, events.Faultf(events.Invalid, "The new time of this post has passed.").
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
