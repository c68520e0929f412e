package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/vault"
)

// reconnectLook is how often a post that waits for a reconnect is looked at anyway; the reconnect itself wakes it at
// once.
const reconnectLook = time.Hour

// waitForToken handles an account whose token cannot be had: the post waits for the reconnect, or is cancelled with the account
// that its owner took away.
func (w *waits) waitForToken(ctx context.Context, old *posts.Post, err error) (end, error) {
	if vault.Unopened(err) {
		return moved, w.postpone(ctx, old, w.tokens.keyUnavailable(old, err), w.now().Add(keyLook))
	}
	gone := errors.Is(err, &events.Fault{Code: events.NotFound})
	switch {
	case gone && !old.Doubt:
		return w.recall(ctx, old)
	case gone || errors.Is(err, &events.Fault{Code: events.ReauthRequired}):
		// Gone after a call was made: a missing account is no proof that the call did not succeed.
		reason := accounts.MustReconnect()
		if errors.Is(err, accounts.ErrKept) {
			reason = keptForReconnect()
		}
		return moved, w.postpone(ctx, old, reason, w.now().Add(reconnectLook))
	}
	return 0, err
}

// reconnect lets a post wait because Threads refused the token, and says so of the account. Where the token was replaced
// while it was tried, the new one is tried, and nobody is told anything.
func (w *waits) reconnect(ctx context.Context, old *posts.Post, a access, tried ...asks.Attempt) error {
	if w.tokens.declareReconnect(ctx, a) {
		return w.postpone(ctx, old, accounts.MustReconnect(), w.now().Add(reconnectLook), tried...)
	}
	return w.moves.save(ctx, old, old.SnoozeUntil(w.now()), "", tried...)
}
