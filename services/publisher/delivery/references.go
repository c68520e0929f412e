package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
)

// A post may refer to another: reply to it, quote it, repost it. The other is named by Threads' media id, or by our id of
// a post that need not be live yet; then this one waits for it.

// errReferenceGone says that a post that is referred to will not be live.
var errReferenceGone = errors.New("a post that is referred to will not be live")

// referenceWaits says that a post that is referred to is not live yet, and when its time is; or that it may be live; or that it
// failed, and may be tried again.
type referenceWaits struct {
	until     time.Time
	mayBeLive bool
	failed    bool
}

func (referenceWaits) Error() string { return "a post that is referred to is not live yet" }

// notLive says that an error is about a post that is referred to and cannot be.
func notLive(err error) bool {
	var waits referenceWaits
	return errors.Is(err, errReferenceGone) || errors.As(err, &waits)
}

// references find what a post refers to.
type references struct {
	db    *bun.DB
	store *posts.Store
	now   func() time.Time
}

// resolve finds the media ids of what the post refers to. found says that something new was found, and is to be saved. With an
// error comes what was found by then.
func (r *references) resolve(ctx context.Context, p *posts.Post) (next *posts.Post, found bool, err error) {
	asked := p.ReplyTo
	if p.Kind == events.KindRepost {
		asked = p.RepostOf
	}
	parent, quoted := p.ParentID, p.QuotedID
	for _, ref := range []struct {
		id   string
		into *string
	}{{asked, &parent}, {p.QuotePostID, &quoted}} {
		if ref.id == "" || *ref.into != "" {
			continue
		}
		if *ref.into, err = r.mediaOf(ctx, ref.id); err != nil {
			break
		}
		found = true
	}
	return p.Refer(parent, quoted, found && err == nil), found && err == nil, err
}

func (r *references) mediaOf(ctx context.Context, id string) (string, error) {
	if !events.IsPostID(id) {
		return id, nil
	}
	other, err := r.store.Get(ctx, r.db, id)
	switch {
	case errors.Is(err, &events.Fault{Code: events.NotFound}):
		return "", errReferenceGone
	case err != nil:
		return "", fmt.Errorf("read the post that is referred to: %w", err)
	case !other.DeletedAt.IsZero():
		return other.MediaID, errReferenceGone // what went out before may still refer to it
	case other.State == events.StatePublished:
		return other.MediaID, nil
	case other.State == events.StateCancelled:
		return "", errReferenceGone
	}
	return "", referenceWaits{other.PublishAt, posts.MayBeLive(other), other.State == events.StateFailed}
}

// pause is the pause before it is looked at once more: short in the first minutes after its hour, later long.
func (w referenceWaits) pause(now time.Time, most time.Duration) time.Duration {
	return min(max(now.Sub(w.until)/20, w.until.Sub(now), 500*time.Millisecond), most) // it may be cancelled, or made earlier
}

// parentLag is for how long after it went live a post of ours may be unknown to Threads.
const parentLag = 5 * time.Minute

// parentYoung says whether what a post refers to is ours and went live a moment ago.
func (r *references) parentYoung(ctx context.Context, p *posts.Post) bool {
	at, err := r.parentLiveAt(ctx, p)
	return err == nil && r.now().Sub(at) <= parentLag
}

// parentLiveAt is when the latest post of ours went live that the part in hand refers to, zero when it refers to none.
func (r *references) parentLiveAt(ctx context.Context, p *posts.Post) (at time.Time, err error) {
	if turn := p.CurrentPart(); turn > 0 {
		return posts.Value(p.Parts[turn-1].AcceptedAt), nil
	}
	for _, id := range []string{p.ReplyTo, p.QuotePostID, p.RepostOf} {
		if id == "" {
			continue
		}
		other, err := r.store.Find(ctx, r.db, p.UserID, id)
		if errors.Is(err, &events.Fault{Code: events.NotFound}) {
			continue
		}
		if err != nil {
			return at, err
		}
		at = clock.Latest(at, other.AcceptedAt)
	}
	return at, nil
}
