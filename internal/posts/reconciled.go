package posts

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/pg"
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
	err = db.NewSelect().Model(&list).Where("account_id = ?", accountID).
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
