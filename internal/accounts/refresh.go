package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// The working columns of a refresh. One refresher an account: who holds the lease may call Threads, outside of any
// transaction, and only the holder's result is written. A reconnect or disconnect takes the lease away.

// ClaimRefresh takes the lease of an active account that nobody is refreshing, if the account is still as the caller
// read it: whoever read it before another one's refresh must not refresh it once more. The database's clock judges when
// an old lease has lapsed, so that the clocks of two machines need not agree.
func ClaimRefresh(ctx context.Context, db bun.IDB, a Account, lease string, life time.Duration) (Account, bool, error) {
	q := db.NewUpdate().Set("refresh_lease = ?", lease).
		Set("refresh_lease_until = now() + ? * interval '1 millisecond'", life.Milliseconds()).
		Where("id = ? AND status = ?", a.ID, events.ConnectionActive).
		Where("rev = ? AND refresh_failures = ?", a.Rev, a.RefreshFailures). // one of them moves with every refresh
		Where("refresh_lease IS NULL OR refresh_lease_until < now()")
	return changed(ctx, q, "claim the refresh")
}

// Refreshed is a token that Threads gave for the old one, sealed.
type Refreshed struct {
	Sealed    []byte
	IssuedAt  time.Time
	ExpiresAt time.Time
	RefreshAt time.Time
}

// SaveRefreshed replaces the token, if the lease is still the caller's, and gives the lease back. It reports false
// when it is not: the account was connected anew or taken away meanwhile, and the token that was refreshed is nobody's.
// Call EmitChange afterwards.
func SaveRefreshed(ctx context.Context, db bun.IDB, id, lease string, r Refreshed) (Account, bool, error) {
	q := db.NewUpdate().
		Set("access_token = ?", r.Sealed).Set("access_token_expires_at = ?", r.ExpiresAt.UTC()).
		Set("token_issued_at = ?", r.IssuedAt.UTC()).Set("refresh_at = ?", r.RefreshAt.UTC()).
		Set("refresh_failures = 0").Set("refresh_lease = NULL").Set("refresh_lease_until = NULL").
		Set("rev = rev + 1").Set("fact = ?", factTokenRefreshed).Set("updated_at = ?", r.IssuedAt.UTC()).
		Where("id = ? AND refresh_lease = ? AND status = ?", id, lease, events.ConnectionActive)
	return changed(ctx, q, "save the refreshed token")
}

// ReleaseRefresh gives the lease back after a refresh that brought nothing, and says when to try next.
func ReleaseRefresh(ctx context.Context, db bun.IDB, id, lease string, next time.Time, failures int) (Account, bool, error) {
	q := db.NewUpdate().Set("refresh_at = ?", bun.NullTime{Time: next.UTC()}).Set("refresh_failures = ?", failures).
		Set("refresh_lease = NULL").Set("refresh_lease_until = NULL").
		Where("id = ? AND refresh_lease = ?", id, lease)
	return changed(ctx, q, "release the refresh")
}

// PlanRefresh saves when to look at the token next, if the account is still as the caller read it.
func PlanRefresh(ctx context.Context, db bun.IDB, a Account, at time.Time) (Account, bool, error) {
	q := db.NewUpdate().Set("refresh_at = ?", at.UTC()).
		Where("id = ? AND rev = ? AND status = ?", a.ID, a.Rev, events.ConnectionActive)
	return changed(ctx, q, "plan the refresh")
}

// RefreshBefore is a page of the active accounts whose token must be looked at before the given time, or has no plan
// yet, by id. afterID is the last id of the page before.
func RefreshBefore(ctx context.Context, db bun.IDB, before time.Time, afterID string, limit int64) ([]Account, error) {
	var list []Account
	err := db.NewSelect().Model(&list).Where("status = ? AND id > ?", events.ConnectionActive, afterID).
		Where("refresh_at IS NULL OR refresh_at < ?", before.UTC()).Order("id").Limit(limit).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tokens to refresh: %w", err)
	}
	return list, nil
}
