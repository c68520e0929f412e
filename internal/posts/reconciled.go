package posts

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts/queue"
)

// FindAny reads a post by our id or by Threads' media id, whoever's it is. A missing one is pg.ErrNotFound.
func FindAny(ctx context.Context, db bun.IDB, id string) (*Post, error) {
	p := new(Post)
	err := db.NewSelect().Model(p).Where("id = ? OR media_id = ?", id, id).OrderExpr("kind = ?", events.KindImported).Limit(1).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read post %s: %w", id, pg.Map(err))
	}
	return p, nil
}

// LatestOfAccount reads at most so many posts of an account: those that have not ended first, and of them the latest.
func LatestOfAccount(ctx context.Context, db bun.IDB, accountID string, most int) (list []Post, err error) {
	err = db.NewSelect().Model(&list).Where(queue.OfAccount, accountID).
		OrderExpr("state IN ('published', 'failed', 'cancelled', 'parked')").OrderExpr("publish_at DESC").Limit(int64(most)).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the posts of %s: %w", accountID, err)
	}
	return list, nil
}

// WakeUnchanged has a post looked at from a time on, if it is as the caller read it and nobody works on it.
func WakeUnchanged(ctx context.Context, db bun.IDB, p *Post, at time.Time) error {
	return Changed(db.NewUpdate().Model((*Post)(nil)).Set("wake_at = ?", at).Set("armed_at = NULL").
		Where("id = ? AND state = ? AND rev = ?", p.ID, p.State, p.Rev).
		Where("lease IS NULL OR lease_until < now()").Exec(ctx))
}

// ForgetAlarm has the sweep set the alarm of a post anew, if the post is as the caller read it.
func ForgetAlarm(ctx context.Context, db bun.IDB, p *Post) error {
	return Changed(db.NewUpdate().Model((*Post)(nil)).Set("armed_at = NULL").
		Where("id = ? AND rev = ? AND wake_at = ?", p.ID, p.Rev, p.WakeAt).Exec(ctx))
}

// askedAtOnce is how many ids one statement asks about.
const askedAtOnce = 1000

// Existing says which of these posts have a row.
func Existing(ctx context.Context, db bun.IDB, ids []string) (map[string]bool, error) {
	there := map[string]bool{}
	for some := range slices.Chunk(ids, askedAtOnce) {
		var found []string
		if err := db.NewSelect().Model((*Post)(nil)).Column("id").Where("id IN (?)", bun.List(some)).Scan(ctx, &found); err != nil {
			return nil, fmt.Errorf("look for posts: %w", err)
		}
		for _, id := range found {
			there[id] = true
		}
	}
	return there, nil
}

// RowsByMediaID are the ids of posts by their media ids, whoever's they are; those of a chain's later parts, of these accounts.
func RowsByMediaID(ctx context.Context, db bun.IDB, accountIDs, mediaIDs []string) (map[string]string, error) {
	m := map[string]string{}
	for some := range slices.Chunk(mediaIDs, askedAtOnce) {
		var rows []struct {
			MediaID string `bun:"media_id"`
			ID      string `bun:"id"`
		}
		err := db.NewRaw(`SELECT media_id, id FROM posts WHERE media_id IN (?0)
			UNION ALL SELECT part->>'mediaId', id FROM posts, jsonb_array_elements(parts) AS part
				WHERE account_id IN (?1) AND parts <> '[]' AND part->>'mediaId' IN (?0)`, bun.List(some), bun.List(accountIDs)).Scan(ctx, &rows)
		if err != nil {
			return nil, fmt.Errorf("find posts by their media ids: %w", err)
		}
		for _, r := range rows {
			m[r.MediaID] = r.ID
		}
	}
	return m, nil
}
