package publisher

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// quota is one of the allowances that Threads gives an account for any 24 hours, whoever uses them (threads-api §4.14).
type quota string

const (
	quotaPosts   quota = "posts"
	quotaReplies quota = "replies"
	quotaDeletes quota = "deletes"
)

const quotaWindow = 24 * time.Hour

// total is how much of a quota an account has.
func (q quota) total() int {
	switch q {
	case quotaReplies:
		return 1000
	case quotaDeletes:
		return 100
	case quotaKeywords:
		return 2200
	case quotaProfiles:
		return 1000
	case quotaLocations:
		return 500
	}
	return 250
}

// full is what the owner of a post that has to wait for room is told.
func (q quota) full() *events.Fault {
	switch q {
	case quotaReplies:
		return events.Faultf(events.RateLimited, "This account has used its 1,000 replies of the last 24 hours; the reply goes out when there is room again.")
	case quotaDeletes:
		return events.Faultf(events.RateLimited, "This account has used its 100 deletions of the last 24 hours; the post is deleted when there is room again.")
	}
	return events.Faultf(events.RateLimited, "This account has used its 250 posts of the last 24 hours; the post goes out when there is room again.")
}

// spends is the quota that publishing the part in hand uses.
func (p *Post) spends() quota {
	if p.replies() {
		return quotaReplies
	}
	return quotaPosts
}

// use is one place of an account's quota that is taken. A claim is its reservation: it counts from then on.
type use struct {
	bun.BaseModel `bun:"table:quota_uses"`

	AccountID string    `bun:"account_id"`
	Quota     quota     `bun:"quota"`
	At        time.Time `bun:"at"`
	PostID    string    `bun:"post_id"`
	Part      int       `bun:"part"`
}

// usage is how much of a quota is used.
type usage struct {
	AccountID string    `bun:"account_id"`
	Quota     quota     `bun:"quota"`
	Used      int       `bun:"used"`
	Oldest    time.Time `bun:"oldest"`
	Latest    time.Time `bun:"latest"`
}

type quotaOf struct {
	account string
	quota   quota
}

// used reads what accounts have used within the window. The caller holds the accounts' locks if it means to use more.
func used(ctx context.Context, db bun.IDB, accounts []string, now time.Time) (map[quotaOf]usage, error) {
	var rows []usage
	err := db.NewSelect().Model((*use)(nil)).Column("account_id", "quota").
		ColumnExpr("count(*) AS used, min(at) AS oldest, max(at) AS latest").
		Where("account_id IN (?) AND at > ?", bun.List(accounts), now.Add(-quotaWindow)).
		Group("account_id", "quota").Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("count the quotas: %w", err)
	}
	m := make(map[quotaOf]usage, len(rows))
	for _, r := range rows {
		m[quotaOf{r.AccountID, r.Quota}] = r
	}
	return m, nil
}

// spend takes places. Taking the place of the same part again moves it to now.
func spend(ctx context.Context, db bun.IDB, uses ...use) error {
	_, err := db.NewInsert().Model(&uses).On("CONFLICT (post_id, part, quota) DO UPDATE").Set("at = EXCLUDED.at").Exec(ctx)
	if err != nil {
		return fmt.Errorf("reserve quota: %w", err)
	}
	return nil
}

// giveBack frees the place of a part that did not go out.
func giveBack(ctx context.Context, db bun.IDB, p *Post) error {
	_, err := db.NewDelete().Model((*use)(nil)).Where("post_id = ? AND part = ? AND quota = ?", p.ID, p.turn(), p.spends()).Exec(ctx)
	if err != nil {
		return fmt.Errorf("give quota back: %w", err)
	}
	return nil
}

// forgetUses deletes what has left the window long ago.
func (s *store) forgetUses(ctx context.Context, now time.Time) error {
	_, err := s.db.NewDelete().Model((*use)(nil)).Where("at < ?", now.Add(-2*quotaWindow)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("forget old uses: %w", err)
	}
	return nil
}
