package draft

import (
	"context"
	"errors"
	"strings"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// CheckReferences checks that the posts which a draft refers to by our ids are posts of the same account, and may be live.
func (s *Service) CheckReferences(ctx context.Context, db bun.IDB, userID, accountID string, d events.Draft) error {
	for _, ref := range []struct{ field, id string }{
		{"/replyTo", d.ReplyTo}, {"/quotePostId", d.QuotePostID}, {"/repostOf", d.RepostOf},
	} {
		switch {
		case ref.id == "":
			continue
		case !events.IsPostID(ref.id):
			if strings.Trim(ref.id, "0123456789") != "" || len(ref.id) > 40 {
				const words = "This is neither an id of one of your posts nor a media id of Threads; correct it."
				return events.Faultf(events.Invalid, words).At(ref.field, "post_id_invalid", words)
			}
			continue
		}
		other, err := s.posts.Find(ctx, db, userID, ref.id)
		if errors.Is(err, &events.Fault{Code: events.NotFound}) || err == nil && other.AccountID != accountID {
			const words = "There is no post with this id among those of the account; choose another post."
			return events.Faultf(events.Invalid, words).At(ref.field, "post_unknown", words)
		}
		if err != nil {
			return err
		}
		if other.State == events.StateFailed || other.State == events.StateCancelled || !other.DeletedAt.IsZero() {
			const words = "The post that this one refers to is not live and will not be; choose another post."
			return events.Faultf(events.Invalid, words).At(ref.field, "post_gone", words)
		}
	}
	return nil
}
