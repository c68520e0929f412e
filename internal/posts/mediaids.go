package posts

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
)

// WithoutOutcome are the account's posts that may be live without our knowing the id, and were due within a span of time.
func (s *Store) WithoutOutcome(ctx context.Context, db bun.IDB, account accounts.Account, first, last time.Time) (posts []Post, err error) {
	err = db.NewSelect().Model(&posts).Where("user_id = ? AND account_id = ?", account.UserID, account.ID).
		Where("publish_at BETWEEN ? AND ?", first, last).
		Where("state IN (?)", bun.List([]events.State{
			events.StatePublishing, events.StateUnconfirmed, events.StateConcluding, events.StateParked,
		})).
		Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("find posts without an outcome: %w", err)
	}
	return posts, nil
}

// IDsByMediaID are our ids of the account's posts, by their media ids. Where a post of ours was imported too, ours counts.
func (s *Store) IDsByMediaID(ctx context.Context, db bun.IDB, accountID string, mediaIDs []string) (map[string]string, error) {
	m := map[string]string{}
	if len(mediaIDs) == 0 {
		return m, nil
	}
	var rows []struct {
		MediaID string `bun:"media_id"`
		ID      string `bun:"id"`
	}
	err := db.NewRaw(`SELECT media_id, id FROM posts WHERE account_id = ?0 AND media_id IN (?1) AND kind = 'imported'
		UNION ALL SELECT part->>'mediaId', id FROM posts, jsonb_array_elements(parts) AS part
			WHERE account_id = ?0 AND parts <> '[]' AND part->>'mediaId' IN (?1)
		UNION ALL SELECT media_id, id FROM posts WHERE account_id = ?0 AND media_id IN (?1) AND kind <> 'imported'`,
		accountID, bun.List(mediaIDs)).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("find our posts by their media ids: %w", err)
	}
	for _, r := range rows {
		m[r.MediaID] = r.ID // the later, the better
	}
	return m, nil
}

// LatestMediaIDs are the media ids of an account's latest live posts, reposts left out: they have no figures.
func (s *Store) LatestMediaIDs(ctx context.Context, account accounts.Account, since time.Time, limit int) (ids []string, err error) {
	err = s.DB.NewSelect().Model((*Post)(nil)).Column("media_id").
		Where("user_id = ? AND account_id = ?", account.UserID, account.ID).
		Where("state = ? AND media_id IS NOT NULL AND deleted_at IS NULL", events.StatePublished).
		Where("kind <> ? AND repost_of IS NULL AND publish_at > ?", events.KindRepost, since).
		Order("publish_at DESC").Limit(int64(limit)).Scan(ctx, &ids)
	if err != nil {
		return nil, fmt.Errorf("find the latest posts: %w", err)
	}
	return ids, nil
}

// ClaimedMediaIDs is known, for every account of ours that stands for the same Threads account: two of our users may have
// connected it, and what the one has published is no candidate when the other's lost answer is looked for.
func (s *Store) ClaimedMediaIDs(ctx context.Context, db bun.IDB, accountID string, mediaIDs []string) (map[string]bool, error) {
	if len(mediaIDs) == 0 {
		return nil, nil //nolint:nilnil // nothing is known of nothing
	}
	all, err := accounts.SameThreadsUser(ctx, db, accountID)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, id := range append(all, accountID) {
		more, err := s.known(ctx, db, id, mediaIDs)
		if err != nil {
			return nil, err
		}
		maps.Copy(known, more)
	}
	return known, nil
}

// OthersInDoubt are the other posts of the same Threads user that may be live.
func (s *Store) OthersInDoubt(ctx context.Context, p *Post) (others []Post, err error) {
	all, err := accounts.SameThreadsUser(ctx, s.DB, p.AccountID)
	if err != nil {
		return nil, err
	}
	err = s.DB.NewSelect().Model(&others).Where("account_id IN (?)", bun.List(append(all, p.AccountID))).
		Where("doubt AND id <> ?", p.ID).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the posts in doubt: %w", err)
	}
	return others, nil
}

// known returns those of the media ids that some row of the account already has: they are no candidates when a
// lost answer is looked for. Rows that were imported do not count: what was imported may be the very post looked for.
func (s *Store) known(ctx context.Context, db bun.IDB, accountID string, mediaIDs []string) (map[string]bool, error) {
	var ids []string
	if len(mediaIDs) == 0 {
		return nil, nil
	}
	err := db.NewSelect().Model((*Post)(nil)).Column("media_id").
		Where("account_id = ? AND media_id IN (?) AND kind <> ?", accountID, bun.List(mediaIDs), events.KindImported).Scan(ctx, &ids)
	if err != nil {
		return nil, fmt.Errorf("read known media ids: %w", err)
	}
	var parts []string
	err = db.NewRaw(`SELECT part->>'mediaId' FROM posts, jsonb_array_elements(parts) AS part
		WHERE account_id = ? AND parts <> '[]' AND part->>'mediaId' IN (?)`, accountID, bun.List(mediaIDs)).Scan(ctx, &parts)
	if err != nil {
		return nil, fmt.Errorf("read known media ids of chains: %w", err)
	}
	m := make(map[string]bool, len(ids)+len(parts))
	for _, id := range append(ids, parts...) {
		m[id] = true
	}
	return m, nil
}
