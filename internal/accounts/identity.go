package accounts

import (
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts/queue"
)

// ThreadsIdentity is how Threads names a person or a post of theirs, and how we find their accounts. Empty fields say
// nothing.
type ThreadsIdentity struct {
	ThreadsUserID string
	Username      string
	// MediaIDs are posts of which we may know whose they are.
	MediaIDs []string
}

// ByThreadsIdentity returns the connected accounts that any of the fields names: several users may have connected the
// same one.
func ByThreadsIdentity(ctx context.Context, db bun.IDB, id ThreadsIdentity) ([]Account, error) {
	media := make([]string, 0, len(id.MediaIDs))
	for _, mediaID := range id.MediaIDs {
		if mediaID != "" {
			media = append(media, mediaID)
		}
	}
	if id.ThreadsUserID == "" && id.Username == "" && len(media) == 0 {
		return nil, nil
	}
	var list []Account
	q := db.NewSelect().Model(&list).Where("status <> ?", events.ConnectionDisconnected).
		WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
			if id.ThreadsUserID != "" {
				q = q.WhereOr("provider_user_id = ?", id.ThreadsUserID)
			}
			if id.Username != "" {
				q = q.WhereOr("lower(username) = ?", strings.ToLower(id.Username))
			}
			if len(media) > 0 {
				q = q.WhereOr("id IN (?)", queue.OwnersOf(db, media))
			}
			return q
		})
	if err := q.Order("created_at", "id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("find the accounts of a webhook: %w", err)
	}
	return list, nil
}

// SharingThreadsAccount are the ids of all connections of one account at Threads, whoever's they are.
func SharingThreadsAccount(ctx context.Context, db bun.IDB, threadsUserID string) (ids []string, err error) {
	err = db.NewSelect().Model((*Account)(nil)).Column("id").Where("provider_user_id = ?", threadsUserID).Order("id").Scan(ctx, &ids)
	if err != nil {
		return nil, fmt.Errorf("find the connections of a Threads account: %w", err)
	}
	return ids, nil
}
