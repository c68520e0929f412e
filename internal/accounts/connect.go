package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts/queue"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
)

// Grant is what a person allowed, as Threads told it.
type Grant struct {
	UserID         string // ours
	ProviderUserID string // Threads' own, from /me
	Username       string
	Scopes         []string
	Token          threads.Token
	ExpiresAt      time.Time // of the token
}

// Connect writes a grant, for the first time or again: the same person at Threads keeps the account's id and with it
// schedule and history; another one is another account. Call EmitChange after the transaction.
func Connect(ctx context.Context, tx bun.Tx, vault *vault.Vault, g Grant, now time.Time) (Account, error) {
	now = now.UTC()
	// First find or make the row, because the token is sealed for its id. DO UPDATE, not DO NOTHING: it locks an
	// existing row and returns it, so two callbacks at once cannot both believe to be first.
	row := Account{
		ID: events.NewAccountID(), Provider: events.Provider, ProviderUserID: g.ProviderUserID, UserID: g.UserID,
		Scopes: []string{}, Status: events.ConnectionDisconnected, Fact: factConnected,
		CreatedAt: now, UpdatedAt: now, GrantedAt: now, IssuedAt: now,
	}
	_, err := tx.NewInsert().Model(&row).On("CONFLICT (user_id, provider, provider_user_id) DO UPDATE").
		Set("updated_at = EXCLUDED.updated_at").Returning("id").Exec(ctx)
	if err != nil {
		return Account{}, fmt.Errorf("find or make account: %w", err)
	}
	sealed, err := vault.Seal(row.ID, g.Token)
	if err != nil {
		return Account{}, err
	}

	row.Sealed, row.ExpiresAt, row.Username = sealed, g.ExpiresAt.UTC(), g.Username
	row.Scopes = append(row.Scopes[:0], g.Scopes...)
	row.Status, row.GrantedAt, row.IssuedAt, row.UpdatedAt = events.ConnectionActive, now, now, now
	// The lease goes with the old token: a refresher who still holds it must not write over the new one.
	q := tx.NewUpdate().Model(&row).WherePK().
		Column("access_token", "access_token_expires_at", "username", "scopes", "status", "reason", "granted_at",
			"token_issued_at", "refresh_at", "refresh_lease", "refresh_lease_until", "refresh_failures", "updated_at",
			"grant_ends_at", "warned_at", "keeps_posts"). // a new grant has a new clock, and what waited goes on
		Set("rev = rev + 1").Set("fact = ?", factConnected)
	if _, err := q.Exec(ctx); err != nil {
		return Account{}, fmt.Errorf("save the grant: %w", err)
	}
	return Get(ctx, tx, row.ID)
}

// Disconnect takes the token of a connected account out of the table and cancels its queue; it belongs in a transaction. It
// reports false, and changes nothing, when the account is disconnected already. Call EmitChange after the transaction.
func Disconnect(ctx context.Context, db bun.IDB, id string, now time.Time) (Account, bool, error) {
	a, done, err := disconnect(ctx, db, id, false, now)
	if err == nil && done {
		err = queue.Cancel(ctx, db, a.ID, QueueCancelled(), now)
	}
	return a, done, err
}

// QueueCancelled is why a post of a disconnected account does not go out.
func QueueCancelled() *events.Fault {
	return events.Faultf(events.NotFound, "The account of this post was disconnected; connect it again and schedule the post anew.")
}

// DisconnectKeeping is Disconnect, and the queue waits for the next connect.
func DisconnectKeeping(ctx context.Context, db bun.IDB, id string, now time.Time) (Account, bool, error) {
	return disconnect(ctx, db, id, true, now)
}

func disconnect(ctx context.Context, db bun.IDB, id string, keepPosts bool, now time.Time) (Account, bool, error) {
	q := db.NewUpdate().
		Set("access_token = NULL").Set("access_token_expires_at = NULL").Set("refresh_token = NULL").
		Set("reason = NULL").Set("status = ?", events.ConnectionDisconnected).
		Set("refresh_at = NULL").Set("refresh_lease = NULL").Set("refresh_lease_until = NULL").
		Set("keeps_posts = ?", keepPosts).
		Set("rev = rev + 1").Set("fact = ?", factDisconnected).Set("updated_at = ?", now.UTC()).
		Where("id = ? AND status <> ?", id, events.ConnectionDisconnected)
	return changed(ctx, q, "disconnect account")
}
