package publisher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
)

// A post may refer to another: reply to it, quote it, repost it. The other is named by Threads' media id, or by our id of
// a post that need not be live yet; then this one waits for it.

// checkRefs sees, when a post is accepted, that our own ids among its references are posts of the same account.
func (s *Service) checkRefs(ctx context.Context, db bun.IDB, userID, accountID string, d events.Draft) error {
	for _, ref := range []struct{ field, id string }{
		{"/replyTo", d.ReplyTo}, {"/quotePostId", d.QuotePostID}, {"/repostOf", d.RepostOf},
	} {
		switch {
		case ref.id == "":
			continue
		case !events.IsPostID(ref.id):
			if strings.Trim(ref.id, "0123456789") != "" || len(ref.id) > 40 {
				const words = "This is neither an id of one of your posts nor a media id of Threads."
				return events.Faultf(events.Invalid, words).At(ref.field, "post_id_invalid", words)
			}
			continue
		}
		other, err := s.store.Find(ctx, db, userID, ref.id)
		if errors.Is(err, &events.Fault{Code: events.NotFound}) || err == nil && other.AccountID != accountID {
			const words = "There is no post with this id among those of the account."
			return events.Faultf(events.Invalid, words).At(ref.field, "post_unknown", words)
		}
		if err != nil {
			return err
		}
		if other.State == events.StateFailed || other.State == events.StateCancelled || !other.DeletedAt.IsZero() {
			const words = "The post that this one refers to is not live and will not be."
			return events.Faultf(events.Invalid, words).At(ref.field, "post_gone", words)
		}
	}
	return nil
}

// errRefGone says that a post that is referred to will not be live.
var errRefGone = errors.New("a post that is referred to will not be live")

// refWaits says that a post that is referred to is not live yet, and when its time is; or that it may be live; or that it
// failed, and may be tried again.
type refWaits struct {
	until     time.Time
	mayBeLive bool
	failed    bool
}

func (refWaits) Error() string { return "a post that is referred to is not live yet" }

// notLive says that an error is about a post that is referred to and cannot be.
func notLive(err error) bool {
	var waits refWaits
	return errors.Is(err, errRefGone) || errors.As(err, &waits)
}

// refer finds the media ids of what the post refers to. found says that something new was found, and is to be saved.
func (s *Service) refer(ctx context.Context, p *posts.Post) (found bool, err error) {
	asked := p.ReplyTo
	if p.Kind == events.KindRepost {
		asked = p.RepostOf
	}
	for _, ref := range []struct {
		id   string
		into *string
	}{{asked, &p.ParentID}, {p.QuotePostID, &p.QuotedID}} {
		if ref.id == "" || *ref.into != "" {
			continue
		}
		if *ref.into, err = s.mediaOf(ctx, ref.id); err != nil {
			return false, err
		}
		found = true
	}
	if found {
		p.ContentHash = p.Hash()
	}
	return found, nil
}

func (s *Service) mediaOf(ctx context.Context, id string) (string, error) {
	if !events.IsPostID(id) {
		return id, nil
	}
	other, err := s.store.Get(ctx, s.db, id)
	switch {
	case errors.Is(err, &events.Fault{Code: events.NotFound}):
		return "", errRefGone
	case err != nil:
		return "", fmt.Errorf("read the post that is referred to: %w", err)
	case !other.DeletedAt.IsZero():
		return other.MediaID, errRefGone // what went out before may still refer to it
	case other.State == events.StatePublished:
		return other.MediaID, nil
	case other.State == events.StateCancelled:
		return "", errRefGone
	}
	return "", refWaits{other.PublishAt, other.MayBeLive(), other.State == events.StateFailed}
}

// again is the pause before it is looked at once more: short in the first minutes after its hour, later long.
func (w refWaits) again(now time.Time, most time.Duration) time.Duration {
	return min(max(now.Sub(w.until)/20, w.until.Sub(now), 500*time.Millisecond), most) // it may be cancelled, or made earlier
}

// noRef handles a post whose reference is not live: it waits, or fails where there is nothing to wait for.
func (s *Service) noRef(ctx context.Context, was *posts.Post, err error) error {
	var waits refWaits
	switch {
	case errors.Is(err, errRefGone):
		return s.fail(ctx, was, events.Faultf(events.Refused, "The post that this one refers to was cancelled or deleted; this one has no place to go."))
	case errors.As(err, &waits):
		reason := events.Faultf(events.Unavailable, "This post waits for the one that it refers to.")
		if waits.failed {
			reason = events.Faultf(events.Refused, "The post that this one refers to did not go out; this one follows if that is tried again.")
		}
		return s.postpone(ctx, was, reason, s.now().Add(waits.again(s.now(), s.cfg.RefLook)))
	}
	return err
}
