package torture

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
)

const (
	lockedAccount = "locked-account"
	// lockedFor is for how long posts are due in such a round. The row is locked for nearly as long, and that is longer than
	// any statement waits for a lock.
	lockedFor  = 15 * time.Second
	lockedFrom = 2 * time.Second
)

// ownLocked are the posts of the account whose row is locked: some accepted before, some not, all due meanwhile.
func ownLocked(p *plan, _ Options, upTo func(time.Duration) time.Duration) {
	account := p.tenant(lockedAccount)
	for i, due := 0, lockedFrom; due < p.until; i, due = i+1, due+300*time.Millisecond {
		q := &planned{n: len(p.posts), kind: kindOwn, account: account, refers: -1, due: due + upTo(300*time.Millisecond).Truncate(time.Millisecond)}
		q.sent = upTo(lockedFrom)
		if i%3 == 0 {
			q.sent = max(q.due-quietAhead, 0)
		}
		q.draft = events.Draft{Text: fmt.Sprintf("round %d post %d of seed %d, of a locked account", p.number, q.n, p.seed)}
		p.posts = append(p.posts, q)
	}
}

// lockAccount holds the row of one account locked, as a person does who forgot a transaction, or a migration.
func lockAccount(ctx context.Context, r *round, _ *rand.Rand) error {
	if !r.at(ctx, lockedFrom) {
		return nil
	}
	tx, err := r.lockRow(ctx, r.tenant(lockedAccount).id)
	if err != nil {
		return nil //nolint:nilerr // Postgres is away, or the round is over: then there is nothing to lock
	}
	r.count("account rows locked")
	from := time.Now()
	r.at(ctx, r.plan.until)
	r.judgedBy(ordeal{from: from, until: time.Now()})
	_ = tx.Rollback() // Postgres may have been away meanwhile
	return nil
}

// lockRow locks the row as soon as it can be had, in a transaction that the caller ends.
func (r *round) lockRow(ctx context.Context, id string) (*sql.Tx, error) {
	for {
		tx, err := r.env.DB.DB.BeginTx(ctx, nil)
		if err == nil {
			if _, err = tx.ExecContext(ctx, "SELECT 1 FROM social_connections WHERE id = $1 FOR UPDATE", id); err == nil {
				return tx, nil
			}
			_ = tx.Rollback()
		}
		if time.Since(r.began) > r.plan.until || !clock.Sleep(ctx, 100*time.Millisecond) {
			return nil, err
		}
	}
}
