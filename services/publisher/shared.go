package publisher

import (
	"context"
	"fmt"
	"maps"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/accounts"
)

// knownToAll is known, for every account of ours that stands for the same Threads account: two of our users may have
// connected it, and what the one has published is no candidate when the other's lost answer is looked for.
func (s *store) knownToAll(ctx context.Context, db bun.IDB, accountID string, mediaIDs []string) (map[string]bool, error) {
	if len(mediaIDs) == 0 {
		return nil, nil //nolint:nilnil // nothing is known of nothing
	}
	all, err := accounts.Twins(ctx, db, accountID)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, id := range append(all, accountID) {
		more, err := s.known(ctx, db, id, mediaIDs)
		if err != nil {
			return nil, err
		}
		maps.Copy(known, more)
	}
	return known, nil
}

// othersInDoubt are the other posts of the same Threads user that may be live.
func (s *store) othersInDoubt(ctx context.Context, p *Post) (others []Post, err error) {
	all, err := accounts.Twins(ctx, s.db, p.AccountID)
	if err != nil {
		return nil, err
	}
	err = s.db.NewSelect().Model(&others).Where("account_id IN (?)", bun.List(append(all, p.AccountID))).
		Where("doubt AND id <> ?", p.ID).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the posts in doubt: %w", err)
	}
	return others, nil
}
