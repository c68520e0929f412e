package publisher

import (
	"context"

	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/batch"
)

// readAccounts reads many accounts at once.
func (s *Service) readAccounts(ctx context.Context, items []batch.Read[accounts.Account]) []error {
	byID, err := accounts.GetAll(ctx, s.db, batch.IDs(items))
	if err != nil {
		return batch.All(len(items), err)
	}
	return batch.Give(items, byID)
}

// readOwn reads the accounts of many users at once.
func (s *Service) readOwn(ctx context.Context, items []batch.Read[[]accounts.Account]) []error {
	byUser, err := accounts.ForUsers(ctx, s.db, batch.IDs(items))
	if err != nil {
		return batch.All(len(items), err)
	}
	return batch.Give(items, byUser)
}
