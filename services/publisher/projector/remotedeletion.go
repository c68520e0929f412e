package projector

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// saveRemoteDeletion keeps what Threads says by webhook, and marks the post if there is one.
func (r *Projector) saveRemoteDeletion(ctx context.Context, tx bun.Tx, ev events.DeletedOnThreads) error {
	_, err := tx.NewRaw("INSERT INTO posts_gone (account_id, media_id, gone_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
		ev.AccountID, ev.MediaID, ev.At).Exec(ctx)
	if err != nil {
		return fmt.Errorf("keep that a post is deleted at Threads: %w", err)
	}
	return r.Store.MarkDeletedRemotely(ctx, tx, ev.AccountID, ev.MediaID, ev.At)
}
