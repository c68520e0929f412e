package accounts

import (
	"context"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
)

// RequireReconnect saves that Threads no longer takes the token that was tried. The statement looks at the token
// again: where it changed since (a refresh or a reconnect won the race), or the account is no longer active, it
// changes nothing and reports false; then read the account again and try what is there now.
// Call EmitChange afterwards.
func RequireReconnect(ctx context.Context, db bun.IDB, tried Account, reason *events.Fault, now time.Time) (Account, bool, error) {
	q := db.NewUpdate().
		Set("status = ?", events.ConnectionReconnectRequired).Set("reason = ?", reason).
		Set("refresh_at = NULL").Set("refresh_lease = NULL").Set("refresh_lease_until = NULL").
		Set("rev = rev + 1").Set("fact = ?", factReconnectRequired).Set("updated_at = ?", now.UTC()).
		Where("id = ? AND status = ? AND access_token = ?", tried.ID, events.ConnectionActive, tried.Sealed)
	return changed(ctx, q, "require a reconnect")
}

// mustReconnect is the answer to everyone who needs a token that is dead.
func mustReconnect() *events.Fault {
	return events.Faultf(events.ReauthRequired, "Threads no longer accepts this connection; please reconnect the account.")
}

// maxEndangered bounds the list in an event; the posts themselves all wait, and all are counted.
const maxEndangered = 100

// MustReconnect is why an account needs its owner whose token Threads refused.
func MustReconnect() *events.Fault {
	return events.Faultf(events.ReauthRequired, "Threads no longer accepts this account's token; reconnect the account and the post goes out.")
}

// DeclareReconnect marks an account to be reconnected whose token Threads refused, unless the token changed since it was tried,
// and emits that. It reports whether the account must be reconnected.
func DeclareReconnect(ctx context.Context, db bun.IDB, emit Emit, log *zap.Logger, tried Account, now time.Time) bool {
	account, required, err := RequireReconnect(ctx, db, tried, MustReconnect(), now)
	if err == nil && required {
		err = EmitChange(ctx, db, emit, account.ID)
	}
	if err != nil { // tokenkeeper's sweep emits what is not emitted yet, and finds out itself what could not be saved
		log.Warn("reconnect not declared", zap.String("account_id", tried.ID), zap.Error(err))
		return true
	}
	return required
}
