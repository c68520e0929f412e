package accounts

import (
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts/queue"
)

// Mark is a sign by which Threads names a person or a post of theirs, and by which we look for their accounts. Empty
// fields say nothing.
type Mark struct {
	ThreadsUserID string
	Username      string
	// MediaIDs are posts of which we may know whose they are.
	MediaIDs []string
}

// Marked are the connected accounts that one of the marks points at: several users may have connected the same one.
func Marked(ctx context.Context, db bun.IDB, m Mark) ([]Account, error) {
	media := make([]string, 0, len(m.MediaIDs))
	for _, id := range m.MediaIDs {
		if id != "" {
			media = append(media, id)
		}
	}
	if m.ThreadsUserID == "" && m.Username == "" && len(media) == 0 {
		return nil, nil
	}
	var list []Account
	q := db.NewSelect().Model(&list).Where("status <> ?", events.ConnectionDisconnected).
		WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
			if m.ThreadsUserID != "" {
				q = q.WhereOr("provider_user_id = ?", m.ThreadsUserID)
			}
			if m.Username != "" {
				q = q.WhereOr("lower(username) = ?", strings.ToLower(m.Username))
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
