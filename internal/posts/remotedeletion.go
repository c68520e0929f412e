package posts

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// MarkDeletedRemotely marks the row whose post, or a part of it, is deleted at Threads. A row that its owner asked us to
// delete is left to whoever does that: they look at Threads and find the same. The event is emitted by the sweep, or by
// whoever the row wakes when a part of a chain is deleted.
func (*Store) MarkDeletedRemotely(ctx context.Context, tx bun.Tx, accountID, mediaID string, at time.Time) error {
	var rows []Post
	err := tx.NewSelect().Model(&rows).Where("account_id = ?", accountID).
		Where("media_id = ? OR parts @> ?::jsonb AND parts <> '[]'", mediaID, `[{"mediaId":`+strconv.Quote(mediaID)+`}]`).
		Where("state IN ('published', 'failed') AND deleted_at IS NULL AND delete_requested_at IS NULL").
		Where("told_rev >= rev"). // what is emitted after this is not lost: the deletion is kept, and looked for again
		Where("lease IS NULL OR lease_until < now()").For("UPDATE").Scan(ctx)
	if err != nil {
		return fmt.Errorf("find the post that is deleted at Threads: %w", err)
	}
	for i := range rows {
		p := &rows[i]
		if !slices.Contains(p.LiveMediaIDs(), mediaID) {
			continue
		}
		for k := range p.Parts {
			if p.Parts[k].MediaID == mediaID {
				p.Parts[k].DeletedAt = OptionalTime(at)
			}
		}
		p.UpdatedAt = at
		p.Rev++
		q := tx.NewUpdate().Model(p).Where("id = ?", p.ID).Column("parts", "updated_at", "rev", "fact")
		if !p.IsChain() || len(p.LiveMediaIDs()) == 0 { // a chain is deleted with its last part, as when we delete it
			p.DeletedAt, p.Fact = at, events.FactDeleted
			q = q.Column("deleted_at")
		} else {
			p.Fact, p.ToldRev = events.FactUpdated, p.Rev // emitted by whoever it wakes
			q = q.Column("told_rev").Set("wake_at = now(), armed_at = NULL")
		}
		p.Canonicalize()
		if _, err := q.Exec(ctx); err != nil {
			return fmt.Errorf("mark a post as deleted at Threads: %w", err)
		}
	}
	return nil
}
