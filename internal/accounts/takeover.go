package accounts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/vault"
)

// Taken says what became of a grant of another system.
type Taken string

// What can become of it.
const (
	TakenNew     Taken = "taken"        // there is an account now
	TakenRenewed Taken = "renewed"      // the account was here; this token lives longer
	TakenKnown   Taken = "known"        // the account was here with a token that lives as long
	TakenGone    Taken = "disconnected" // its owner has taken it away here since; it stays away
)

// tokenLife is how long a token of Threads lives from its last refresh.
const tokenLife = 60 * 24 * time.Hour

// TakeOver writes a grant that another system got for the same app. Its account is ready for use whatever the token's age:
// where that has passed, call Expire once the account's posts are here. Call EmitChange after the transaction.
//
// A grant can be taken over again: a token that lives longer than ours replaces it, because the other system has
// refreshed it since; nothing else changes what is here.
func TakeOver(ctx context.Context, tx bun.Tx, vault *vault.Vault, g Grant, granted, now time.Time) (Account, Taken, error) {
	id := events.OriginalAccountID(g.UserID, g.ProviderUserID)
	issued := g.ExpiresAt.Add(-tokenLife)
	if issued.After(now) {
		issued = now
	}
	row := Account{
		ID: id, Provider: events.Provider, ProviderUserID: g.ProviderUserID, UserID: g.UserID, Username: g.Username,
		Scopes: append([]string{}, g.Scopes...), ExpiresAt: g.ExpiresAt.UTC(),
		Status: events.ConnectionActive, Rev: 1, Fact: factConnected,
		CreatedAt: granted.UTC(), UpdatedAt: now.UTC(), GrantedAt: granted.UTC(), IssuedAt: issued.UTC(),
	}
	var err error
	if row.Sealed, err = vault.Seal(id, g.Token); err != nil {
		return Account{}, "", err
	}
	res, err := tx.NewInsert().Model(&row).On("CONFLICT (user_id, provider, provider_user_id) DO NOTHING").Exec(ctx)
	if err != nil {
		return Account{}, "", fmt.Errorf("write the account: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return row, TakenNew, err
	}
	var was Account
	err = tx.NewSelect().Model(&was).For("UPDATE").
		Where("user_id = ? AND provider = ? AND provider_user_id = ?", g.UserID, events.Provider, g.ProviderUserID).Scan(ctx)
	switch {
	case err != nil:
		return Account{}, "", fmt.Errorf("read the account: %w", pg.Map(err))
	case was.Status == events.ConnectionDisconnected:
		return was, TakenGone, nil
	case !g.ExpiresAt.After(was.ExpiresAt.Add(time.Minute)): // ours is as good: to the second, as the two systems reckon
		return was, TakenKnown, nil
	}
	sealed, err := vault.Seal(was.ID, g.Token)
	if err != nil {
		return Account{}, "", err
	}
	q := tx.NewUpdate().
		Set("access_token = ?", sealed).Set("access_token_expires_at = ?", g.ExpiresAt.UTC()).
		Set("token_issued_at = ?", issued.UTC()).
		Set("status = ?", events.ConnectionActive).Set("reason = NULL").Set("refresh_at = NULL").
		Set("refresh_lease = NULL").Set("refresh_lease_until = NULL").Set("refresh_failures = 0").
		Set("rev = rev + 1").Set("fact = ?", factConnected).Set("updated_at = ?", now.UTC()).Where("id = ?", was.ID)
	a, _, err := changed(ctx, q, "renew the account")
	return a, TakenRenewed, err
}

// ErasedUsers are those of our users who had an account erased at its owner's demand. Nothing of theirs is taken over: what
// another system still has of it was to be forgotten.
func ErasedUsers(ctx context.Context, db bun.IDB, userIDs []string) (map[string]bool, error) {
	var found []string
	err := db.NewSelect().Model((*Tombstone)(nil)).Column("user_id").Where("user_id IN (?)", bun.List(userIDs)).Scan(ctx, &found)
	if err != nil {
		return nil, fmt.Errorf("look for tombstones: %w", err)
	}
	erased := make(map[string]bool, len(found))
	for _, id := range found {
		erased[id] = true
	}
	return erased, nil
}

// Expire says of an account that was taken over that its token had outlived itself there: it must be reconnected. It
// reports false where that is no longer so, or known. Call EmitChange afterwards.
func Expire(ctx context.Context, db bun.IDB, id string, now time.Time) (bool, error) {
	a, err := Get(ctx, db, id)
	if errors.Is(err, pg.ErrNotFound) || err == nil && now.Before(a.ExpiresAt) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, done, err := RequireReconnect(ctx, db, a, mustReconnect(), now)
	return done, err
}
