package accounts

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"
)

// SameThreadsUser returns the other accounts of the same Threads user as this one: each of our users who connects it has
// an account of their own, with a token of their own. They see nothing of each other.
func SameThreadsUser(ctx context.Context, db bun.IDB, id string) (ids []string, err error) {
	err = db.NewSelect().Model((*Account)(nil)).Column("id").Where("id <> ?", id).
		Where("provider_user_id = (SELECT provider_user_id FROM social_connections WHERE id = ?)", id).Scan(ctx, &ids)
	if err != nil {
		return nil, fmt.Errorf("find the other accounts of a Threads user: %w", err)
	}
	return ids, nil
}
