package accounts

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"
)

// IDsOf are the ids of every account that the user has connected or had, the oldest first.
func IDsOf(ctx context.Context, db bun.IDB, userID string) ([]string, error) {
	ids := []string{}
	err := db.NewSelect().Model((*Account)(nil)).Column("id").Where("user_id = ?", userID).
		Order("created_at", "id").Scan(ctx, &ids)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return ids, nil
}
