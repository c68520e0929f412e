package accounts

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// Pause holds back the posts of a connected account. It reports false, and changes nothing, when the account is paused
// already, or not connected. It waits for every claim of a post that holds the account's row, and every later one finds
// the account paused. Call EmitChange after it.
func Pause(ctx context.Context, db bun.IDB, id, reason string, now time.Time) (Account, bool, error) {
	q := db.NewUpdate().
		Set("paused_at = ?, updated_at = ?", now.UTC(), now.UTC()).Set("pause_reason = ?", reason).
		Set("rev = rev + 1").Set("fact = ?", factPaused).
		Where("id = ? AND paused_at IS NULL AND status <> ?", id, events.ConnectionDisconnected)
	return changed(ctx, q, "pause account")
}

// Resume lets the posts of a paused account go out again. It reports false, and changes nothing, when the account is not
// paused. Call EmitChange after it.
func Resume(ctx context.Context, db bun.IDB, id string, now time.Time) (Account, bool, error) {
	q := db.NewUpdate().
		Set("paused_at = NULL").Set("pause_reason = ''").Set("updated_at = ?", now.UTC()).
		Set("rev = rev + 1").Set("fact = ?", factResumed).
		Where("id = ? AND paused_at IS NOT NULL", id)
	return changed(ctx, q, "resume account")
}

// Paused says whether the account's posts are held back.
func (a Account) Paused() bool { return !a.PausedAt.IsZero() }
