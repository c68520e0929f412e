// Package accounts is the table of connected Threads accounts with their sealed tokens: one concept with three users (auth
// writes it, tokenkeeper keeps it fresh, publisher reads it). Whoever needs a token, has to say that
// Threads no longer takes one, or emits what became of an account, does it through here, so that all
// three do it alike.
//
// A change that others must learn of is a row change first (rev goes up, fact names it) and an event second (EmitChange).
package accounts

import (
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// Account is a row of social_connections: the original's columns, the token sealed, and what keeping it needs.
type Account struct {
	bun.BaseModel `bun:"table:social_connections,alias:account"`

	ID             string    `bun:"id,pk"`
	Provider       string    `bun:"provider"`
	ProviderUserID string    `bun:"provider_user_id"` // Threads user id
	Sealed         []byte    `bun:"access_token"`     // the token as Vault.Seal made it; nil once disconnected
	ExpiresAt      time.Time `bun:"access_token_expires_at,nullzero"`
	Username       string    `bun:"username,nullzero"`
	UserID         string    `bun:"user_id"`
	CreatedAt      time.Time `bun:"created_at"`
	UpdatedAt      time.Time `bun:"updated_at"`

	Status    events.ConnectionStatus `bun:"status"`
	Scopes    []string                `bun:"scopes,array"`
	GrantedAt time.Time               `bun:"granted_at"` // when the person last pressed Allow
	Reason    *events.Fault           `bun:"reason,type:jsonb"`

	Rev        int64  `bun:"rev"`
	EmittedRev int64  `bun:"told_rev"`
	Fact       string `bun:"fact"`

	// Tokenkeeper's working columns; see refresh.go.
	IssuedAt          time.Time `bun:"token_issued_at"`
	RefreshAt         time.Time `bun:"refresh_at,nullzero"`
	RefreshLease      string    `bun:"refresh_lease,nullzero"`
	RefreshLeaseUntil time.Time `bun:"refresh_lease_until,nullzero"`
	RefreshFailures   int       `bun:"refresh_failures"`

	// The clock of the grant; see grant.go.
	GrantEndsAt time.Time `bun:"grant_ends_at,nullzero"`
	WarnedAt    time.Time `bun:"warned_at,nullzero"`

	// KeepsPosts: it is disconnected, and its posts wait.
	KeepsPosts bool `bun:"keeps_posts"`

	// Its posts are held back; see pause.go.
	PausedAt    time.Time `bun:"paused_at,nullzero"`
	PauseReason string    `bun:"pause_reason"`
}

// Connection is the account as its owner and other services may see it.
func (a Account) Connection() events.Connection {
	c := events.Connection{
		ID: a.ID, Provider: a.Provider, ProviderUserID: a.ProviderUserID, UserID: a.UserID,
		CreatedAt: a.CreatedAt.UTC(), UpdatedAt: a.UpdatedAt.UTC(),
		Status: a.Status, Scopes: a.Scopes, GrantedAt: a.GrantedAt.UTC(), Rev: a.Rev,
		PostsKept: a.Status == events.ConnectionDisconnected && a.KeepsPosts,
	}
	if c.Scopes == nil {
		c.Scopes = []string{} // a list on the wire, never null
	}
	if a.Username != "" {
		c.Username = &a.Username
	}
	if !a.ExpiresAt.IsZero() {
		at := a.ExpiresAt.UTC()
		c.AccessTokenExpiresAt = &at
	}
	if a.Status == events.ConnectionActive && a.warned() {
		at := a.GrantEndsAt.UTC()
		c.ReconnectBy = &at
	}
	if a.Paused() {
		at := a.PausedAt.UTC()
		c.PausedAt, c.PauseReason = &at, a.PauseReason
	}
	return c
}

// HasScope says whether the person granted a scope.
func (a Account) HasScope(scope string) bool { return slices.Contains(a.Scopes, scope) }

// MayUse says why the account cannot be used for a call that needs the scope, and nil when it can; "" is for calls that need no
// scope in particular.
func (a Account) MayUse(scope string) error {
	switch {
	case a.Status == events.ConnectionReconnectRequired:
		return events.Faultf(events.ReauthRequired, "Threads no longer accepts this account's token; reconnect the account first.")
	case scope != "" && !a.HasScope(scope):
		return events.Faultf(events.MissingScope, "This account did not grant %s; reconnect it and allow that.", scope)
	}
	return nil
}

// Usable says whether the account has a token that should work at that time.
func (a Account) Usable(now time.Time) bool {
	return a.Status == events.ConnectionActive && len(a.Sealed) > 0 && now.Before(a.ExpiresAt)
}
