package publisher

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
)

// Threads tells by webhook that a post of an account is gone, whoever took it away. That may come before we know the
// post's id: our row learns it from an answer that is still on its way, or from a look. So the word is kept, and the rows
// are looked through when it comes, and by the sweep for as long as a row may still learn its id.

// goneFor is how long the word is kept: longer than an outcome is looked for.
const goneFor = 8 * 24 * time.Hour

// gone keeps the word, and marks the post if there is one.
func (r *recorder) gone(ctx context.Context, tx bun.Tx, ev events.DeletedOnThreads) error {
	_, err := tx.NewRaw("INSERT INTO posts_gone (account_id, media_id, gone_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
		ev.AccountID, ev.MediaID, ev.At).Exec(ctx)
	if err != nil {
		return fmt.Errorf("keep that a post is gone: %w", err)
	}
	return markGone(ctx, tx, ev.AccountID, ev.MediaID, ev.At)
}

// markGone marks the row whose post, or a part of it, is gone from Threads. A row that its owner asked us to delete is left
// to whoever does that: they look at Threads and find the same. The telling is the sweep's, or that of whoever the row wakes
// when a part of a chain is gone.
func markGone(ctx context.Context, tx bun.Tx, accountID, mediaID string, at time.Time) error {
	var rows []posts.Post
	err := tx.NewSelect().Model(&rows).Where("account_id = ?", accountID).
		Where("media_id = ? OR parts @> ?::jsonb AND parts <> '[]'", mediaID, `[{"mediaId":`+strconv.Quote(mediaID)+`}]`).
		Where("state IN ('published', 'failed') AND deleted_at IS NULL AND delete_requested_at IS NULL").
		Where("told_rev >= rev"). // what is told after this is not lost: the word is kept, and looked for again
		Where("lease IS NULL OR lease_until < now()").For("UPDATE").Scan(ctx)
	if err != nil {
		return fmt.Errorf("find the post that is gone: %w", err)
	}
	for i := range rows {
		p := &rows[i]
		if !slices.Contains(p.LiveMediaIDs(), mediaID) {
			continue
		}
		for k := range p.Parts {
			if p.Parts[k].MediaID == mediaID {
				p.Parts[k].DeletedAt = posts.OptionalTime(at)
			}
		}
		p.UpdatedAt = at
		p.Rev++
		q := tx.NewUpdate().Model(p).Where("id = ?", p.ID).Column("parts", "updated_at", "rev", "fact")
		if !p.IsChain() || len(p.LiveMediaIDs()) == 0 { // a chain is gone with its last part, as when we delete it
			p.DeletedAt, p.Fact = at, events.FactDeleted
			q = q.Column("deleted_at")
		} else {
			p.Fact, p.ToldRev = events.FactUpdated, p.Rev // updates.go
			q = q.Column("told_rev").Set("wake_at = now(), armed_at = NULL")
		}
		p.Canonicalize()
		if _, err := q.Exec(ctx); err != nil {
			return fmt.Errorf("mark a post as gone: %w", err)
		}
	}
	return nil
}

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
			return markGone(ctx, tx, g.AccountID, g.MediaID, g.GoneAt)
		})
		if err == nil {
			sweepRepairs.WithLabelValues("gone").Inc()
		}
		return err
	}) // one round is enough: what is leased now is found in the next
}
