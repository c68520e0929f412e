package posts

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/posts/queue"
)

// Erase takes away posts of an account on which nobody works, with what was tried for them, up to so many; these are their
// ids.
func (s *Store) Erase(ctx context.Context, tx bun.Tx, accountID string, most int64) (ids []string, err error) {
	free := tx.NewSelect().Model((*Post)(nil)).Column("id").Where(queue.OfAccount, accountID).
		Where("lease IS NULL OR lease_until < now()").Limit(most).For("UPDATE SKIP LOCKED")
	err = tx.NewDelete().With("free", free).Model((*Post)(nil)).
		Where("id IN (SELECT id FROM free)").Returning("id").Scan(ctx, &ids)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	_, err = tx.NewDelete().Model((*AttemptRow)(nil)).Where("post_id IN (?)", bun.List(ids)).Exec(ctx)
	return ids, err
}

// Count is how many posts an account has.
func (s *Store) Count(ctx context.Context, accountID string) (int64, error) {
	n, err := s.DB.NewSelect().Model((*Post)(nil)).Where(queue.OfAccount, accountID).Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count the posts of an account: %w", err)
	}
	return n, nil
}

// Forgotten is how far the forgetting of attempts came in one step.
type Forgotten struct {
	Last    int64 `bun:"last"`    // the last that was looked at
	Old     int   `bun:"old"`     // so many of them were old
	Deleted int   `bun:"deleted"` // and these were of posts that have been final for long
}

// ForgetAttempts forgets some of the old attempts of posts that have been final for as long, in the order in which they were
// noted, behind the one named.
func (s *Store) ForgetAttempts(ctx context.Context, after int64, most int, before time.Time) (f Forgotten, err error) {
	err = s.DB.NewRaw(`WITH batch AS MATERIALIZED (
			SELECT id, post_id FROM (SELECT * FROM post_attempts WHERE id > ?0 ORDER BY id LIMIT ?1 FOR UPDATE SKIP LOCKED) AS next WHERE at < ?2
		), deleted AS (
			DELETE FROM post_attempts AS a USING batch LEFT JOIN posts AS p ON p.id = batch.post_id
			WHERE a.id = batch.id AND (p.id IS NULL OR p.state IN ('published', 'failed', 'cancelled') AND p.updated_at < ?2
				AND (p.delete_requested_at IS NULL OR p.deleted_at IS NOT NULL))
			RETURNING a.id
		)
		SELECT coalesce(max(id), 0) AS last, count(*) AS old, (SELECT count(*) FROM deleted) AS deleted FROM batch`,
		after, most, before).Scan(ctx, &f)
	if err != nil {
		return f, fmt.Errorf("forget old attempts: %w", err)
	}
	return f, nil
}
