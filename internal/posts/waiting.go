package posts

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"
)

// Waiting counts the posts of an account that are not final yet, up to most.
func (s *Store) Waiting(ctx context.Context, db bun.IDB, accountID string, most int) (n int, err error) {
	err = db.NewRaw(`SELECT count(*) FROM (
		SELECT 1 FROM posts WHERE account_id = ? AND state NOT IN ('published', 'failed', 'cancelled') LIMIT ?
	) AS waiting`, accountID, most).Scan(ctx, &n)
	if err != nil {
		return 0, fmt.Errorf("count the queue of an account: %w", err)
	}
	return n, nil
}
