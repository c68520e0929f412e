package delivery

import (
	"context"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/vault"
)

// access is an account's token in clear, for the length of a step, with the account as it was read: should Threads
// refuse the token, that tells whether a fresher one has come meanwhile.
type access struct {
	token   threads.Token
	account accounts.Account
}

// tokens open the tokens of accounts.
type tokens struct {
	bus          *bus.Bus
	db           *bun.DB
	vault        *vault.Vault
	accountReads *batch.Batcher[batch.Read[accounts.Account]]
	log          *zap.Logger
	now          func() time.Time
}

func (t *tokens) access(ctx context.Context, p *posts.Post) (access, error) {
	account, err := batch.Fetch(ctx, t.accountReads, p.AccountID)
	if err != nil {
		return access{}, err
	}
	token, err := account.Open(t.vault, t.now())
	return access{token, *account}, err
}

// keyLook is how often a post is looked at whose account's token our keyset does not open.
const keyLook = time.Minute

// keyUnavailable is why such a post waits: a mistake in the keyset, which ends no connection. It is said aloud, to those who run us.
func (t *tokens) keyUnavailable(old *posts.Post, err error) *events.Fault {
	t.log.Error("the keyset does not open a token; its posts wait", postField(old.ID), accountField(old.AccountID), errField(err))
	return events.Faultf(events.Unavailable, "The key to this account's token is missing on our side; the post waits, and goes out as soon as it is back.")
}

// declareReconnect says that an account needs its owner, unless its token changed since it was tried. It reports
// whether it does.
func (t *tokens) declareReconnect(ctx context.Context, a access) bool {
	return accounts.DeclareReconnect(ctx, t.db, t.bus.Emit, t.log, a.account, t.now())
}
