package engagement

import (
	"context"

	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// ListMentions answers with the public posts of others that name the account.
func (s *Service) ListMentions(ctx context.Context, q asks.ListMentions) (asks.ThreadsPage, error) {
	list, err := s.pageQuery(q.Limit, q.After, q.Since, q.Until)
	if err != nil {
		return asks.ThreadsPage{}, err
	}
	account, err := accounts.Resolve(ctx, s.side, q.UserID, q.AccountID)
	if err != nil {
		return asks.ThreadsPage{}, err
	}
	return s.fetchPage(ctx, account, threads.ScopeManageMentions, &list, func(ctx context.Context, a ownercalls.Access) (threads.Page, error) {
		return s.api.Mentions(ctx, a.Token, list)
	})
}
