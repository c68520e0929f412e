package delivery

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/batch"
)

// readAccounts reads many accounts at once.
func readAccounts(db *bun.DB) func(context.Context, []batch.Read[accounts.Account]) []error {
	return func(ctx context.Context, items []batch.Read[accounts.Account]) []error {
		byID, err := accounts.GetAll(ctx, db, batch.IDs(items))
		if err != nil {
			return batch.All(len(items), err)
		}
		return batch.Give(items, byID)
	}
}

// readOwn reads the accounts of many users at once.
func readOwn(db *bun.DB) func(context.Context, []batch.Read[[]accounts.Account]) []error {
	return func(ctx context.Context, items []batch.Read[[]accounts.Account]) []error {
		byUser, err := accounts.ForUsers(ctx, db, batch.IDs(items))
		if err != nil {
			return batch.All(len(items), err)
		}
		return batch.Give(items, byUser)
	}
}
