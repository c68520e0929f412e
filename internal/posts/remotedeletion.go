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

// Threads tells by webhook that a post of an account is deleted, whoever deleted it. That may come before the row knows the post's
// media id: it learns that from an answer that is still on its way, or by looking for the post. So the deletion is kept, the row is
// marked when it comes, and by the sweep for as long as a row may still learn its id.

// remoteDeletionsKept is how long a deletion is kept: longer than an outcome is looked for.
const remoteDeletionsKept = 8 * 24 * time.Hour

// RemoteDeletion is a post, or a part of one, that was deleted at Threads.
type RemoteDeletion struct {
	AccountID string    `bun:"account_id"`
	MediaID   string    `bun:"media_id"`
	At        time.Time `bun:"gone_at"`
}

// SaveRemoteDeletion keeps a deletion, and marks the post if there is one.
func (s *Store) SaveRemoteDeletion(ctx context.Context, tx bun.Tx, d RemoteDeletion) error {
	_, err := tx.NewRaw("INSERT INTO posts_gone (account_id, media_id, gone_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
		d.AccountID, d.MediaID, d.At).Exec(ctx)
	if err != nil {
		return fmt.Errorf("keep that a post is deleted at Threads: %w", err)
	}
	return MarkDeletedRemotely(ctx, tx, d)
}

// UnmarkedRemoteDeletions finds deletions whose row has learned its media id since, and is not marked. Those with the given media
// ids are left out.
func (s *Store) UnmarkedRemoteDeletions(ctx context.Context, db bun.IDB, without []string, limit int) (found []RemoteDeletion, err error) {
	// Of chains only a row's own parts tell; there are few, and few deletions. The two are found by indexes of their own.
	err = db.NewRaw(`WITH g AS (SELECT * FROM posts_gone WHERE media_id NOT IN (?))
		SELECT g.account_id, g.media_id, g.gone_at FROM g JOIN posts AS p ON p.media_id = g.media_id AND p.account_id = g.account_id
		WHERE p.parts = '[]' AND p.state IN ('published', 'failed') AND p.deleted_at IS NULL AND p.delete_requested_at IS NULL AND p.told_rev >= p.rev
		UNION
		SELECT g.account_id, g.media_id, g.gone_at FROM g JOIN posts AS p
			ON p.parts <> '[]' AND p.parts @> jsonb_build_array(jsonb_build_object('mediaId', g.media_id)) AND p.account_id = g.account_id
		WHERE p.state IN ('published', 'failed') AND p.deleted_at IS NULL AND p.delete_requested_at IS NULL AND p.told_rev >= p.rev
			AND EXISTS (SELECT FROM jsonb_array_elements(p.parts) AS part
				WHERE part->>'mediaId' = g.media_id AND part->>'deletedAt' IS NULL)
		LIMIT ?`, bun.List(without), limit).Scan(ctx, &found)
	if err != nil {
		return nil, fmt.Errorf("find posts that are deleted at Threads: %w", err)
	}
	return found, nil
}

// ForgetRemoteDeletions forgets the deletions of which no row can learn any more.
func (s *Store) ForgetRemoteDeletions(ctx context.Context, db bun.IDB, now time.Time) error {
	if _, err := db.NewDelete().Table("posts_gone").Where("gone_at < ?", now.Add(-remoteDeletionsKept)).Exec(ctx); err != nil {
		return fmt.Errorf("forget old deletions at Threads: %w", err)
	}
	return nil
}

// MarkDeletedRemotely marks the row whose post, or a part of it, is deleted at Threads. A row that its owner asked us to
// delete is left to whoever does that: they look at Threads and find the same. The event is emitted by the sweep, or by
// whoever the row wakes when a part of a chain is deleted.
func MarkDeletedRemotely(ctx context.Context, tx bun.Tx, d RemoteDeletion) error {
	var rows []Post
	err := tx.NewSelect().Model(&rows).Where("account_id = ?", d.AccountID).
		Where("media_id = ? OR parts @> ?::jsonb AND parts <> '[]'", d.MediaID, `[{"mediaId":`+strconv.Quote(d.MediaID)+`}]`).
		Where("state IN ('published', 'failed') AND deleted_at IS NULL AND delete_requested_at IS NULL").
		Where("told_rev >= rev"). // what is emitted after this is not lost: the deletion is kept, and looked for again
		Where("lease IS NULL OR lease_until < now()").For("UPDATE").Scan(ctx)
	if err != nil {
		return fmt.Errorf("find the post that is deleted at Threads: %w", err)
	}
	for i := range rows {
		p := &rows[i]
		if !slices.Contains(LiveMediaIDs(p), d.MediaID) {
			continue
		}
		for k := range p.Parts {
			if p.Parts[k].MediaID == d.MediaID {
				p.Parts[k].DeletedAt = OptionalTime(d.At)
			}
		}
		p.UpdatedAt = d.At
		p.Rev++
		q := tx.NewUpdate().Model(p).Where("id = ?", p.ID).Column("parts", "updated_at", "rev", "fact")
		if !p.IsChain() || len(LiveMediaIDs(p)) == 0 { // a chain is deleted with its last part, as when we delete it
			p.DeletedAt, p.Fact = d.At, events.FactDeleted
			q = q.Column("deleted_at")
		} else {
			p.Fact, p.EmittedRev = events.FactUpdated, p.Rev // emitted by whoever it wakes
			q = q.Column("told_rev").Set("wake_at = now(), armed_at = NULL")
		}
		p.Canonicalize()
		if _, err := q.Exec(ctx); err != nil {
			return fmt.Errorf("mark a post as deleted at Threads: %w", err)
		}
	}
	return nil
}
