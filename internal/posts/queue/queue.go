// Package queue is what those ask and change of the table of posts who know no more than an account: accounts, auth and the
// operators' commands.
package queue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// OfAccount is the condition of all posts of an account, ?0, in words that have an index: those that are open, and those that are settled.
const OfAccount = `(account_id = ?0 AND state IN ('published', 'failed', 'cancelled')
	OR account_id = ?0 AND state NOT IN ('published', 'failed', 'cancelled'))`

// Cancel makes it true that an account's queue is cancelled, before anybody hears of it and whoever connects the account again:
// posts that are surely not live are cancelled here and now, the others are not to be published any more. The emitting and
// whatever else is left to do is the publisher's.
func Cancel(ctx context.Context, db bun.IDB, accountID string, reason *events.Fault, now time.Time) error {
	_, err := db.NewRaw(`UPDATE posts SET state = 'cancelled', fact = 'cancelled', reason = ?, rev = rev + 1, updated_at = ?,
			wake_at = NULL, armed_at = NULL, lease = NULL, lease_until = NULL, container_id = NULL, container_at = NULL, children = '{}', built_from = NULL
		WHERE account_id = ? AND state IN ('scheduled', 'ready', 'waiting') AND NOT doubt
			AND coalesce(parts->0->>'mediaId', '') = ''`, reason, now.UTC(), accountID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("cancel the queue: %w", err)
	}
	_, err = db.NewRaw(`UPDATE posts SET recalled = true
		WHERE account_id = ? AND state IN ('scheduled', 'ready', 'waiting', 'publishing', 'unconfirmed', 'parked')`, accountID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("recall the queue: %w", err)
	}
	return nil
}

// Endangered are the posts that need the account's token and have not been sent yet, the most urgent first, up to so many of
// them: all, or those due from a time on.
func Endangered(ctx context.Context, db bun.IDB, accountID string, from time.Time, most int64) (events.Endangerment, error) {
	e := events.Endangerment{Posts: []events.EndangeredPost{}}
	q := db.NewSelect().Table("posts").Column("id", "publish_at").Where("account_id = ?", accountID).
		Where("state IN (?)", bun.List([]events.State{events.StateScheduled, events.StateReady, events.StateWaiting})).
		Order("publish_at", "id").Limit(most)
	if !from.IsZero() {
		q = q.Where("publish_at >= ?", from.UTC())
	}
	var rows []struct {
		ID        string
		PublishAt time.Time
	}
	n, err := q.ScanAndCount(ctx, &rows)
	if err != nil {
		return e, fmt.Errorf("list endangered posts: %w", err)
	}
	e.Count = int(n)
	for _, r := range rows {
		e.Posts = append(e.Posts, events.EndangeredPost{ID: r.ID, PublishAt: r.PublishAt.UTC()})
	}
	return e, nil
}

// OwnersOf selects the accounts of posts that Threads names by these media ids.
func OwnersOf(db bun.IDB, mediaIDs []string) *bun.SelectQuery {
	return db.NewSelect().Table("posts").Column("account_id").Where("media_id IN (?)", bun.List(mediaIDs))
}

// Any says whether there is a post of an account.
func Any(ctx context.Context, db bun.IDB, accountID string) (bool, error) {
	there, err := db.NewSelect().Table("posts").Where(OfAccount, accountID).Exists(ctx)
	if err != nil {
		return false, fmt.Errorf("look for posts of an account: %w", err)
	}
	return there, nil
}

// OfOthers are those of the ids, ours or Threads', that name posts of another account; each post by both its ids.
func OfOthers(ctx context.Context, db bun.IDB, ids []string, accountID string) (others []string, err error) {
	var rows []struct{ ID, MediaID string }
	err = db.NewSelect().Table("posts").ColumnExpr("id, coalesce(media_id, '') AS media_id").
		Where("(id IN (?) OR media_id IN (?)) AND account_id <> ?", bun.List(ids), bun.List(ids), accountID).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("look whose posts are named: %w", err)
	}
	for _, r := range rows {
		others = append(others, r.ID, r.MediaID)
	}
	return slices.DeleteFunc(others, func(id string) bool { return id == "" }), nil
}

// Failed says whether a post is there as failed.
func Failed(ctx context.Context, db bun.IDB, id string) (bool, error) {
	failed, err := db.NewSelect().Table("posts").Where("id = ? AND state = 'failed'", id).Exists(ctx)
	if err != nil {
		return false, fmt.Errorf("look for post %s: %w", id, err)
	}
	return failed, nil
}

// Problems counts posts with which something is wrong.
type Problems struct {
	Parked  int `bun:"parked"`
	Overdue int `bun:"overdue"`  // to be looked at, by more than a minute
	NotOut  int `bun:"not_told"` // with a change that is not on EVENTS for more than a minute
	// Since when the oldest of these waits; nil: there is none.
	NotOutSince *time.Time `bun:"not_told_since"`
}

// Count counts them.
func Count(ctx context.Context, db bun.IDB) (p Problems, err error) {
	err = db.NewRaw(`SELECT (SELECT count(*) FROM posts WHERE state = 'parked') AS parked,
		(SELECT count(*) FROM posts WHERE wake_at < now() - interval '1 minute') AS overdue,
		not_told, not_told_since
		FROM (SELECT count(*) AS not_told, min(updated_at) AS not_told_since FROM posts WHERE told_rev < rev AND updated_at < now() - interval '1 minute') AS waiting`).Scan(ctx, &p)
	if err != nil {
		return p, fmt.Errorf("count the posts: %w", err)
	}
	return p, nil
}
