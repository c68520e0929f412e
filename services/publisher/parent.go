package publisher

import (
	"context"
	"errors"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

// Threads does not show a post everywhere at the moment at which it goes live. Who replies to it, quotes or reposts it then
// may hear that there is no such post. Of a post of ours we know when it went live: for some minutes that only means not yet.

const (
	// parentLag is for how long after it went live a post of ours may be unknown to Threads.
	parentLag = 5 * time.Minute
	// parentTries is how often at least it is tried with a post of ours that is older.
	parentTries = 3
)

// tryParentAgain says whether a post is tried again whose parent, live since so long, is not seen at the nth try, and when.
func tryParentAgain(age time.Duration, try int) (wait time.Duration, again bool) {
	if age > parentLag && try >= parentTries {
		return 0, false
	}
	return min(clock.Backoff(try), 30*time.Second), true
}

// parentUnseen handles a creation that was refused because Threads does not know what it refers to.
func (w *waits) parentUnseen(ctx context.Context, old *posts.Post, e *threads.Error, tried events.Attempt) error {
	at, err := w.references.parentLiveAt(ctx, old)
	if err != nil {
		return err
	}
	wait, again := tryParentAgain(w.now().Sub(at), old.Failures+1)
	if at.IsZero() || !again {
		return w.concluder.fail(ctx, old, &events.Fault{Code: events.Refused, Message: e.Sentence}, tried)
	}
	if old.Failures < 3 { // the owner hears of it when it lasts
		return w.moves.save(ctx, old, old.TryAgainAt(w.now().Add(wait)), "", tried)
	}
	return w.postponeFrom(ctx, old, old.CountFailure(), notSeenYet(), w.now().Add(wait), tried)
}

func notSeenYet() *events.Fault {
	return events.Faultf(events.Unavailable, "Threads does not show the post that this one refers to yet; this one follows as soon as it does.")
}

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
