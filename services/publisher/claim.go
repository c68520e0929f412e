package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/pg"
)

// The quota of an account: 250 posts in any 24 hours, whoever sends them (threads-api §4.14).
const (
	quotaPosts  = 250
	quotaWindow = 24 * time.Hour
)

// errTwin says that an equal text of the same account is being published or looked for. Two equal posts could not
// be told apart afterwards, so the second waits.
var errTwin = errors.New("an equal post of this account is not yet settled")

// quotaFull says when the oldest of the account's posts leaves the window.
type quotaFull struct{ until time.Time }

func (q quotaFull) Error() string { return "the account's quota is used up until " + q.until.String() }

// claim moves a ready post to publishing: from here to the answer it is this worker's, and nobody may edit or
// cancel it. The quota is reserved in the same transaction, under the account's row lock, so that two workers
// cannot both take the last place.
func (s *store) claim(ctx context.Context, was *Post, callTimeout time.Duration, now time.Time) (*Post, error) {
	p := *was
	p.State, p.Lease, p.LeaseUntil = events.StatePublishing, uuid.NewString(), now.Add(s.lease)
	p.Attempt++
	p.ClaimedAt, p.CallDeadline = now, maxTime(now, p.PublishAt).Add(callTimeout)
	p.FinishedSeenAt = time.Time{}
	p.WakeAt = now.Add(s.lease + time.Second) // when this worker is gone, the next may ask
	p.ArmedAt = time.Time{}                   // the message in hand wakes it; if that is lost, the sweep does
	err := pg.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		if _, err := accounts.Lock(ctx, tx, p.AccountID); err != nil {
			return err
		}
		twin, err := tx.NewSelect().Model((*Post)(nil)).
			Where("account_id = ? AND content_hash = ? AND state IN (?)", p.AccountID, p.ContentHash,
				bun.List([]events.State{events.StatePublishing, events.StateUnconfirmed})).
			Where("id <> ?", p.ID).Exists(ctx)
		if err != nil {
			return fmt.Errorf("look for an equal post: %w", err)
		}
		if twin {
			return errTwin
		}
		if err := s.reserve(ctx, tx, &p, now); err != nil {
			return err
		}
		return s.save(ctx, tx, was, &p)
	})
	if err != nil {
		return nil, err
	}
	return &p, nil
}

// reserve checks that the account has a place left. The claimed row itself is the reservation: claimed_at counts.
func (s *store) reserve(ctx context.Context, tx bun.Tx, p *Post, now time.Time) error {
	var used struct {
		Count  int       `bun:"count"`
		Oldest time.Time `bun:"oldest"`
	}
	err := tx.NewSelect().Model((*Post)(nil)).
		ColumnExpr("count(*) AS count").ColumnExpr("min(claimed_at) AS oldest").
		Where("account_id = ? AND claimed_at > ? AND id <> ?", p.AccountID, now.Add(-quotaWindow), p.ID).
		Where("state NOT IN (?)", bun.List([]events.State{events.StateFailed, events.StateCancelled})).Scan(ctx, &used)
	if err != nil {
		return fmt.Errorf("count the quota: %w", err)
	}
	if used.Count >= quotaPosts {
		return quotaFull{until: used.Oldest.Add(quotaWindow)}
	}
	return nil
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
