package posts

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
)

// LeaseWanted is the lease of a post that a worker asks for.
type LeaseWanted struct {
	post  *Post
	token string
	until time.Time // by the worker's clock: earlier than the lease lapses
	at    *time.Time
	store *Store
}

// Lease is the lease of a post as its worker read it. One of ours of which nothing was heard is taken over.
func (s *Store) Lease(p *Post, now time.Time) LeaseWanted {
	return LeaseWanted{post: p, token: s.Unacknowledged.token(p), until: now.Add(s.lease), at: new(time.Time), store: s}
}

// Done is called with what came of it, and notes in the post that it has its lease.
func (w LeaseWanted) Done(err error) error {
	if err != nil {
		if !errors.Is(err, ErrLost) {
			w.store.Unacknowledged.Add(w.token, nil)
		}
		return fmt.Errorf("take the lease: %w", err)
	}
	w.post.Lease, w.post.LeaseUntil, w.post.LeasedAt = w.token, w.until, *w.at
	return nil
}

// AcquireLease takes one lease, if the post is as its worker read it and nobody works on it. The database's clock judges when
// an old lease has lapsed; LeaseUntil is the holder's own, earlier, idea of it. LeasedAt is the database's time.
func (s *Store) AcquireLease(ctx context.Context, w LeaseWanted) error {
	err := s.DB.NewUpdate().Model((*Post)(nil)).
		Set("lease = ?", w.token).Set("lease_until = now() + ? * interval '1 millisecond'", s.lease.Milliseconds()).
		Where("id = ? AND state = ? AND rev = ?", w.post.ID, w.post.State, w.post.Rev).
		Where("lease IS NULL OR lease_until < now() OR lease = ?", w.token).
		Returning("clock_timestamp()").Scan(ctx, w.at)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrLost
	}
	return err
}

// AcquireLeases takes many leases in one statement. One that is not given, or whose row somebody else holds, is batch.ErrAlone.
func (s *Store) AcquireLeases(ctx context.Context, items []LeaseWanted) []error {
	type row struct {
		ID    string       `bun:"id"`
		State events.State `bun:"was_state"`
		Rev   int64        `bun:"was_rev"`
		Token string       `bun:"token"`
	}
	rows := make([]row, len(items))
	for i, w := range items {
		rows[i] = row{w.post.ID, w.post.State, w.post.Rev, w.token}
	}
	var given []struct {
		ID    string    `bun:"id"`
		Lease string    `bun:"lease"`
		At    time.Time `bun:"at"`
	}
	err := updateRows(ctx, s.DB, together{rows: &rows, list: "l", set: func(q *bun.UpdateQuery) *bun.UpdateQuery {
		return q.Set("lease = l.token").Set("lease_until = now() + ? * interval '1 millisecond'", s.lease.Milliseconds()).
			Where("post.state = l.was_state AND post.rev = l.was_rev").
			Where("post.lease IS NULL OR post.lease_until < now() OR post.lease = l.token").
			Returning("post.id, post.lease, clock_timestamp() AS at")
	}}, &given)
	if err != nil {
		return batch.All(len(items), fmt.Errorf("take leases: %w", err))
	}
	at := make(map[string]time.Time, len(given)) // by token: two workers may have asked for one post
	for _, g := range given {
		at[g.Lease] = g.At
	}
	errs := make([]error, len(items))
	for i, w := range items {
		var ok bool
		if *w.at, ok = at[w.token]; !ok {
			errs[i] = batch.ErrAlone
		}
	}
	return errs
}

// RenewLease prolongs a lease that is still ours.
func (s *Store) RenewLease(ctx context.Context, p *Post) error {
	res, err := s.DB.NewUpdate().Model((*Post)(nil)).
		Set("lease_until = now() + ? * interval '1 millisecond'", s.lease.Milliseconds()).
		Where("id = ? AND lease = ?", p.ID, p.Lease).Exec(ctx)
	return Changed(res, err)
}
