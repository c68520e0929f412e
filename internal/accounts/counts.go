package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// Counts are numbers about all accounts together.
type Counts struct {
	// ByStatus has every status, also those that no account has.
	ByStatus map[events.ConnectionStatus]int
	// FirstExpiry is when the token expires that does so first, of all active accounts; zero when there is none.
	FirstExpiry time.Time
	// Overdue counts active accounts whose token should have been refreshed before the given time.
	Overdue int
}

// Count counts all accounts. Overdue are those that should have been refreshed before then.
func Count(ctx context.Context, db bun.IDB, overdue time.Time) (Counts, error) {
	var rows []struct {
		Status  events.ConnectionStatus `bun:"status"`
		N       int                     `bun:"n"`
		First   time.Time               `bun:"first"`
		Overdue int                     `bun:"overdue"`
	}
	err := db.NewSelect().Model((*Account)(nil)).Column("status").
		ColumnExpr("count(*) AS n, min(access_token_expires_at) AS first").
		ColumnExpr("count(*) FILTER (WHERE refresh_at < ?) AS overdue", overdue.UTC()).
		Group("status").Scan(ctx, &rows)
	if err != nil {
		return Counts{}, fmt.Errorf("count the accounts: %w", err)
	}
	c := Counts{ByStatus: map[events.ConnectionStatus]int{
		events.ConnectionActive: 0, events.ConnectionReconnectRequired: 0, events.ConnectionDisconnected: 0,
	}}
	for _, r := range rows {
		c.ByStatus[r.Status] = r.N
		if r.Status == events.ConnectionActive {
			c.FirstExpiry, c.Overdue = r.First, r.Overdue
		}
	}
	return c, nil
}
