package publisher

import (
	"context"

	"github.com/omni-write/threads/internal/accounts"
)

// readAccounts reads many accounts at once.
func (s *Service) readAccounts(ctx context.Context, batch []read[accounts.Account]) []error {
	byID, err := accounts.GetAll(ctx, s.db, idsOf(batch))
	if err != nil {
		return all(len(batch), err)
	}
	return give(batch, byID)
}

// readOwn reads the accounts of many users at once.
func (s *Service) readOwn(ctx context.Context, batch []read[[]accounts.Account]) []error {
	byUser, err := accounts.ForUsers(ctx, s.db, idsOf(batch))
	if err != nil {
		return all(len(batch), err)
	}
	return give(batch, byUser)
}
