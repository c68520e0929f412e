package ownercalls

import (
	"context"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/internal/vault/vaulttest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// system is calls on behalf of owners on real NATS and Postgres, with one connected account.
type system struct {
	*testing.T
	bus     *bus.Bus
	db      *bun.DB
	vault   *vault.Vault
	account accounts.Account
}

func setup(t *testing.T) *system {
	t.Helper()
	vault := vaulttest.New(t)
	sys := &system{T: t, bus: bustest.New(t), db: pgtest.New(t), vault: vault}
	err := pg.InTx(t.Context(), sys.db, func(ctx context.Context, tx bun.Tx) (err error) {
		sys.account, err = accounts.Connect(ctx, tx, vault, accounts.Grant{
			UserID: "user_1", ProviderUserID: "1", Username: "demo.user", Scopes: []string{threads.ScopeBasic},
			Token: "token", ExpiresAt: time.Now().Add(time.Hour),
		}, time.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sys
}

func (sys *system) service() *Service {
	return New(Config{ThrottleWait: time.Minute}, Deps{Bus: sys.bus, DB: sys.db, Vault: sys.vault, Log: bustest.Log(sys.T), Now: time.Now})
}
