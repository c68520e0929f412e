package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// A grant is what a person allowed by pressing Allow. It lasts 90 days. Refreshing the token renews it where the profile is
// public; where it is private day 90 is a wall, whatever the token's own end. Which of the two it is Threads does not
// tell, but when the grant ends it does.
const (
	grantLife = 90 * 24 * time.Hour
	// WarnBefore is how long before the end of a grant its owner is told: from day 80 on.
	WarnBefore = 10 * 24 * time.Hour
	// warnEvery is a little under a day, so that a daily sweep that comes a minute early does not skip a day.
	warnEvery = 23 * time.Hour
)

// GrantEnd is when the grant ends, as far as is known. Before Threads was asked it is the earliest that can be.
func (a Account) GrantEnd() time.Time {
	if a.GrantEndsAt.IsZero() {
		return a.GrantedAt.Add(grantLife)
	}
	return a.GrantEndsAt
}

// warned says whether the owner was told that this grant ends soon. A warning before a renewal no longer counts.
func (a Account) warned() bool {
	return !a.GrantEndsAt.IsZero() && !a.WarnedAt.Before(a.GrantEndsAt.Add(-WarnBefore))
}

// GrantsEnding is a page of the active accounts whose grant ends soon, as far as is known, and of which nobody was told
// within a day, by id. afterID is the last id of the page before.
func GrantsEnding(ctx context.Context, db bun.IDB, now time.Time, afterID string, limit int64) ([]Account, error) {
	var list []Account
	soon := now.Add(WarnBefore).UTC()
	err := db.NewSelect().Model(&list).Where("status = ? AND id > ?", events.ConnectionActive, afterID).
		Where("grant_ends_at <= ? OR (grant_ends_at IS NULL AND granted_at <= ?)", soon, soon.Add(-grantLife)).
		Where("warned_at IS NULL OR warned_at <= ?", now.Add(-warnEvery).UTC()).
		Order("id").Limit(limit).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list grants that end: %w", err)
	}
	return list, nil
}

// SaveGrantEnd saves when Threads says that the grant ends, if the account is still as the caller read it. Nothing is emitted.
func SaveGrantEnd(ctx context.Context, db bun.IDB, a Account, ends time.Time) (Account, bool, error) {
	q := db.NewUpdate().Set("grant_ends_at = ?", ends.UTC()).
		Where("id = ? AND rev = ? AND status = ?", a.ID, a.Rev, events.ConnectionActive)
	return changed(ctx, q, "note the end of the grant")
}

// WarnOfGrant saves that the owner is warned of a grant that ends soon, if the account is still as the caller read it: of two
// who would warn at once, one does. Call EmitChange afterwards.
func WarnOfGrant(ctx context.Context, db bun.IDB, a Account, ends, now time.Time) (Account, bool, error) {
	q := db.NewUpdate().Set("grant_ends_at = ?", ends.UTC()).Set("warned_at = ?", now.UTC()).
		Set("rev = rev + 1").Set("fact = ?", factReconnectSoon).Set("updated_at = ?", now.UTC()).
		Where("id = ? AND rev = ? AND status = ?", a.ID, a.Rev, events.ConnectionActive)
	return changed(ctx, q, "warn of the grant's end")
}
