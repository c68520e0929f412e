package publisher

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/pg"
)

// Threads tells by webhook that a post of an account is gone, whoever took it away. That may come before we know the
// post's id: our row learns it from an answer that is still on its way, or from a look. So the word is kept, and the rows
// are looked through when it comes, and by the sweep for as long as a row may still learn its id.

// goneFor is how long the word is kept: longer than an outcome is looked for.
const goneFor = 8 * 24 * time.Hour

// findGone looks for rows that have learned their id since Threads told that the post is gone.
func (s *Service) findGone(ctx context.Context) (int, error) {
	if _, err := s.db.NewDelete().Table("posts_gone").Where("gone_at < ?", s.now().Add(-goneFor)).Exec(ctx); err != nil {
		return 0, fmt.Errorf("forget what is long gone: %w", err)
	}
	var found []struct {
		AccountID string    `bun:"account_id"`
		MediaID   string    `bun:"media_id"`
		GoneAt    time.Time `bun:"gone_at"`
	}
	// Of chains only a row's own parts tell; there are few, and few words. The two are found by indexes of their own.
	err := s.db.NewRaw(`WITH g AS (SELECT * FROM posts_gone WHERE media_id NOT IN (?))
		SELECT g.account_id, g.media_id, g.gone_at FROM g JOIN posts AS p ON p.media_id = g.media_id AND p.account_id = g.account_id
		WHERE p.parts = '[]' AND p.state IN ('published', 'failed') AND p.deleted_at IS NULL AND p.delete_requested_at IS NULL AND p.told_rev >= p.rev
		UNION
		SELECT g.account_id, g.media_id, g.gone_at FROM g JOIN posts AS p
			ON p.parts <> '[]' AND p.parts @> jsonb_build_array(jsonb_build_object('mediaId', g.media_id)) AND p.account_id = g.account_id
		WHERE p.state IN ('published', 'failed') AND p.deleted_at IS NULL AND p.delete_requested_at IS NULL AND p.told_rev >= p.rev
			AND EXISTS (SELECT FROM jsonb_array_elements(p.parts) AS part
				WHERE part->>'mediaId' = g.media_id AND part->>'deletedAt' IS NULL)
		LIMIT ?`, bun.List(s.ungone.ids(s.now())), sweepBatch).Scan(ctx, &found)
	if err != nil {
		return 0, fmt.Errorf("look for posts that are gone: %w", err)
	}
	ids := make([]string, len(found))
	for i, g := range found {
		ids[i] = g.MediaID
	}
	return 0, s.eachOf(ctx, "gone", &s.ungone, ids, func(ctx context.Context, i int) error {
		g := found[i]
		err := pg.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
			return s.store.MarkDeletedRemotely(ctx, tx, g.AccountID, g.MediaID, g.GoneAt)
		})
		if err == nil {
			sweepRepairs.WithLabelValues("gone").Inc()
		}
		return err
	}) // one round is enough: what is leased now is found in the next
}
