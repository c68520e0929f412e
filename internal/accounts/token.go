package accounts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
)

// Token opens the token of an account, with the account as it was read, so that a refused token can be told from one
// that changed meanwhile (RequireReconnect). It returns a Fault: not_found when the account is disconnected or
// missing, reauth_required when there is no token that Threads would take, or its posts wait for the next connect.
func Token(ctx context.Context, db bun.IDB, v *vault.Vault, accountID string, now time.Time) (threads.Token, Account, error) {
	a, err := Get(ctx, db, accountID)
	if errors.Is(err, pg.ErrNotFound) {
		return "", Account{}, noSuchAccount()
	}
	if err != nil {
		return "", Account{}, err
	}
	token, err := a.Open(v, now)
	return token, a, err
}

// Open opens the account's token. It returns a Fault where there is none to be had, and one that is also ErrUnknownKey or
// ErrNotOurs where the keyset is at fault.
func (a Account) Open(v *vault.Vault, now time.Time) (threads.Token, error) {
	if a.ID != "" && a.Status == events.ConnectionDisconnected && a.KeepsPosts {
		return "", fmt.Errorf("%w (%w)", mustReconnect(), ErrKept)
	}
	if a.ID == "" || a.Status == events.ConnectionDisconnected {
		return "", noSuchAccount()
	}
	if !a.Usable(now) {
		return "", mustReconnect()
	}
	token, err := v.Open(a.ID, a.Sealed)
	if vault.Unopened(err) {
		return "", fmt.Errorf("%w (%w)", keyUnavailable(), err)
	}
	return token, err
}

// ErrKept says that an account was disconnected and its posts wait for the next connect.
var ErrKept = errors.New("the account is disconnected and keeps its posts")

// keyUnavailable is the answer to everyone who needs a token that our keyset does not open. The connection is as good as before.
func keyUnavailable() *events.Fault {
	return events.Faultf(events.Unavailable,
		"The key to this account's token is missing on our side. Nothing is lost, and you need not reconnect; please try again later.")
}
