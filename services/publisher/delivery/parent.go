package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

// Threads does not show a post everywhere at the moment at which it goes live. Who replies to it, quotes or reposts it then
// may hear that there is no such post. Of a post of ours we know when it went live: for some minutes that only means not yet.

const (
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
func (w *waits) parentUnseen(ctx context.Context, old *posts.Post, e *threads.Error, tried asks.Attempt) (end, error) {
	at, err := w.references.parentLiveAt(ctx, old)
	if err != nil {
		return 0, err
	}
	wait, again := tryParentAgain(w.now().Sub(at), old.Failures+1)
	if at.IsZero() || !again {
		return w.concluder.fail(ctx, old, &events.Fault{Code: events.Refused, Message: e.Sentence}, tried)
	}
	if old.Failures < 3 { // the owner hears of it when it lasts
		return moved, w.moves.save(ctx, old, old.TryAgainAt(w.now().Add(wait)), "", tried)
	}
	return moved, w.postponeFrom(ctx, old, old.CountFailure(), notSeenYet(), w.now().Add(wait), tried)
}

// waitForReference handles a post whose reference is not live: it waits, or fails where there is nothing to wait for.
func (w *waits) waitForReference(ctx context.Context, old *posts.Post, err error) (end, error) {
	var waits referenceWaits
	switch {
	case errors.Is(err, errReferenceGone):
		return w.concluder.fail(ctx, old, events.Faultf(events.Refused, "The post that this one refers to was cancelled or deleted; this one has no place to go."))
	case errors.As(err, &waits):
		reason := events.Faultf(events.Unavailable, "This post waits for the one that it refers to.")
		if waits.failed {
			reason = events.Faultf(events.Refused, "The post that this one refers to did not go out; this one follows if that is tried again.")
		}
		return moved, w.postpone(ctx, old, reason, w.now().Add(waits.pause(w.now(), w.cfg.RefLook)))
	}
	return 0, err
}
