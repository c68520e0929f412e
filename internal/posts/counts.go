package posts

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// ActiveStates are the states of posts in whose life something is going on. Their posts are few, and have an index.
var ActiveStates = []events.State{
	events.StateWaiting, events.StatePublishing, events.StateUnconfirmed, events.StateConcluding, events.StateParked,
}

// ActiveCount is how many active posts are in a state, by the code of the reason that their owners read.
type ActiveCount struct {
	State  events.State `bun:"state"`
	Code   string       `bun:"code"`
	Posts  int          `bun:"posts"`
	Oldest time.Time    `bun:"oldest"` // the time of the oldest of them
}

// CountActive counts the active posts.
func CountActive(ctx context.Context, db bun.IDB) (counts []ActiveCount, err error) {
	err = db.NewSelect().Model((*Post)(nil)).Column("state").
		ColumnExpr("coalesce(reason->>'code', '') AS code, count(*) AS posts, min(publish_at) AS oldest").
		// The words of the index, or Postgres does not see that they are the same.
		Where("state IN ('waiting', 'publishing', 'unconfirmed', 'concluding', 'parked')").
		GroupExpr("1, 2").Scan(ctx, &counts)
	if err != nil {
		return nil, fmt.Errorf("count the active posts: %w", err)
	}
	return counts, nil
}

// OverdueCount is how many posts are overdue that nobody works on, the time of the oldest, and since when the one that has
// waited longest to be worked on waits.
type OverdueCount struct {
	Overdue int       `bun:"overdue"`
	Oldest  time.Time `bun:"oldest"`
	Stalled time.Time `bun:"stalled"`
}

// CountOverdue counts the overdue posts. A wake-up within grace of now is not overdue yet.
func CountOverdue(ctx context.Context, db bun.IDB, now time.Time, grace time.Duration) (count OverdueCount, err error) {
	err = db.NewSelect().Model((*Post)(nil)).
		ColumnExpr("count(*) FILTER (WHERE publish_at < ?0 AND state IN ('scheduled', 'ready')) AS overdue", now).
		ColumnExpr("min(publish_at) FILTER (WHERE publish_at < ?0 AND state IN ('scheduled', 'ready')) AS oldest", now).
		ColumnExpr("min(wake_at) FILTER (WHERE lease IS NULL OR lease_until < now()) AS stalled").
		Where("wake_at < ?", now.Add(-grace)).Scan(ctx, &count)
	if err != nil {
		return count, fmt.Errorf("count the overdue posts: %w", err)
	}
	return count, nil
}

// QueuedCount is how many posts of an account wait for their time.
type QueuedCount struct {
	Queued  int `bun:"queued"`
	Overdue int `bun:"overdue"` // those whose time has passed
	// FirstMissed is when the first of them is given up.
	FirstMissed *time.Time `bun:"first_missed"`
}

// CountQueued counts the posts of an account that wait for their time.
func CountQueued(ctx context.Context, db bun.IDB, accountID string) (count QueuedCount, err error) {
	err = db.NewRaw(`SELECT count(*) AS queued, count(*) FILTER (WHERE publish_at < now()) AS overdue,
			min(publish_at + publish_within * interval '1 second') AS first_missed
		FROM posts WHERE account_id = ? AND state IN ('scheduled', 'ready', 'waiting')`, accountID).Scan(ctx, &count)
	if err != nil {
		return count, fmt.Errorf("count the account's posts: %w", err)
	}
	return count, nil
}

// CountCalls counts the claims of an account whose publish call may still be on its way. A claim without a lease makes no
// call any more.
func CountCalls(ctx context.Context, db bun.IDB, accountID string) (int64, error) {
	calls, err := db.NewSelect().Model((*Post)(nil)).
		Where("account_id = ? AND state = ? AND lease_until > now()", accountID, events.StatePublishing).Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("look for calls on their way: %w", err)
	}
	return calls, nil
}

// MostUsed is how many places of each quota are used by the account that has fewest left.
func MostUsed(ctx context.Context, db bun.IDB, now time.Time) (map[Quota]int, error) {
	var rows []struct {
		Quota Quota `bun:"quota"`
		Used  int   `bun:"used"`
	}
	perAccount := db.NewSelect().Model((*QuotaUse)(nil)).Column("quota").ColumnExpr("count(*) AS used").
		Where("at > ?", now.Add(-QuotaWindow)).Group("account_id", "quota")
	err := db.NewSelect().TableExpr("(?) AS per_account", perAccount).Column("quota").ColumnExpr("max(used) AS used").
		Group("quota").Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("measure the quotas: %w", err)
	}
	most := make(map[Quota]int, len(rows))
	for _, row := range rows {
		most[row.Quota] = row.Used
	}
	return most, nil
}
