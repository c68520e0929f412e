package posts

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// What the sweep looks for. It leaves out posts that it could not put right before, and each time takes so many at most.

// Due is what a pass looks for.
type Due struct {
	Now    time.Time
	Grace  time.Duration // how late a post counts as forgotten
	Except []string
	Most   int64
}

// MarkOverdue finds posts whose time has passed and on which nobody works. Their armed_at moves to now, so that they are not
// found again before a round has passed.
func (s *Store) MarkOverdue(ctx context.Context, d Due, round time.Duration) (ids []string, err error) {
	found := s.DB.NewSelect().Model((*Post)(nil)).Column("id").
		Where("wake_at < ?", d.Now.Add(-d.Grace)).
		Where("armed_at IS NULL OR armed_at <= wake_at OR armed_at > ? OR armed_at < ?", d.Now, d.Now.Add(-round)).
		Where("lease IS NULL OR lease_until < now()").
		Where("id NOT IN (?)", bun.List(d.Except)).
		Order("wake_at").Limit(d.Most).For("UPDATE SKIP LOCKED")
	// Joined, not looked for in a list: the table may have a million rows, and each of these is found by its key.
	err = s.DB.NewUpdate().With("found", found).Model((*Post)(nil)).TableExpr("found").
		Set("armed_at = ?", d.Now).Where("post.id = found.id").Returning("post.id").Scan(ctx, &ids)
	if err != nil {
		return nil, fmt.Errorf("find overdue posts: %w", err)
	}
	return ids, nil
}

// Unarmed are posts without an alarm whose time has come within the horizon, or that changed their time without one: their
// ids, revisions and times of both kinds.
func (s *Store) Unarmed(ctx context.Context, d Due, horizon time.Duration) (list []Post, err error) {
	err = s.DB.NewSelect().Model(&list).Column("id", "rev", "wake_at", "publish_at").
		Where("wake_at BETWEEN ? AND ?", d.Now.Add(-d.Grace), d.Now.Add(horizon)).
		Where("armed_at IS DISTINCT FROM wake_at").
		Where("lease IS NULL OR lease_until < now()").
		Where("updated_at < ?", d.Now.Add(-d.Grace)). // whoever moved it just now is arming it
		Where("id NOT IN (?)", bun.List(d.Except)).
		Order("wake_at").Limit(d.Most).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("find posts without an alarm: %w", err)
	}
	return list, nil
}

// MarkArmed notes that the alarm of a post is set, if its time is still the same.
func (s *Store) MarkArmed(ctx context.Context, p *Post) error {
	_, err := s.DB.NewUpdate().Model((*Post)(nil)).Set("armed_at = wake_at").
		Where("id = ? AND rev = ? AND wake_at = ?", p.ID, p.Rev, p.WakeAt).Exec(ctx)
	if err != nil {
		return fmt.Errorf("note an alarm: %w", err)
	}
	return nil
}

// NotEmitted are posts with a change that was left without its event, for Grace and more.
func (s *Store) NotEmitted(ctx context.Context, d Due) (list []Post, err error) {
	err = s.DB.NewSelect().Model(&list).
		// A post that was cancelled with its account has nobody else who emits it.
		Where("told_rev < rev AND (updated_at < ? OR state = 'cancelled' AND reason IS NOT NULL)", d.Now.Add(-d.Grace)).
		Where("state <> ?", events.StateConcluding). // its outcome is emitted by whoever it is woken for
		Where("id NOT IN (?)", bun.List(d.Except)).
		Order("updated_at").Limit(d.Most).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("find changes without their events: %w", err)
	}
	return list, nil
}
