package publisher

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/crash"
)

const (
	// sweepBatch bounds one round; what is left over comes in the next, at once.
	sweepBatch = 500
	// tooNear is the time within which an alarm is no longer set: the post is woken instead, and waits in hand.
	tooNear = 15 * time.Second
)

// sweep is the net under the alarms: whatever lost a post's wake-up (a wiped stream, a stuck schedule, a crash between
// row and alarm), the row still says when, and the sweep reads it. It runs every SweepEvery and at start.
func (s *Service) sweep(ctx context.Context) error {
	for {
		if s.current.Load() {
			if err := s.sweepOnce(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("sweep cut short", errField(err))
			}
			select {
			case <-time.After(s.cfg.SweepEvery):
			case <-s.recorder.nudge:
			case <-ctx.Done():
				return nil
			}
		} else if !pause(ctx, 20*time.Millisecond) {
			return nil
		}
	}
}

func (s *Service) sweepOnce(ctx context.Context) error {
	if err := s.store.forgetUses(ctx, s.now()); err != nil {
		return err
	}
	for _, pass := range []func(context.Context) (int, error){s.wakeOverdue, s.armUnarmed, s.findGone, s.retellUntold} {
		for {
			n, err := pass(ctx)
			if err != nil {
				return err
			}
			if n < sweepBatch {
				break
			}
		}
	}
	return nil
}

// wakeOverdue wakes posts whose time has passed and on which nobody works. They are not armed again: a wake-up straight
// to the due subject survives what an alarm does not (reference nats.md §1.7, §1.8).
func (s *Service) wakeOverdue(ctx context.Context) (int, error) {
	now := s.now()
	// armed_at of the woken moves to now, so that they are not woken again before a round has passed.
	ids, err := s.markArmed(ctx, s.db.NewSelect().Model((*Post)(nil)).Column("id").
		Where("wake_at < ?", now.Add(-s.cfg.SweepGrace)).
		Where("armed_at IS NULL OR armed_at <= wake_at OR armed_at > ? OR armed_at < ?", now, now.Add(-s.cfg.SweepEvery)).
		Where("lease IS NULL OR lease_until < now()").
		Order("wake_at").Limit(sweepBatch), now)
	if err != nil {
		return 0, fmt.Errorf("wake overdue posts: %w", err)
	}
	if len(ids) > 0 {
		crash.At(crash.SweepFound)
	}
	for _, id := range ids {
		if err := s.bus.Wake(ctx, events.PostDue(id)); err != nil {
			return 0, err
		}
	}
	if len(ids) > 0 {
		crash.At(crash.SweepWoken)
		sweepRepairs.WithLabelValues("woken").Add(float64(len(ids)))
		s.log.Warn("sweep woke overdue posts", zap.Int("posts", len(ids)))
	}
	return len(ids), nil
}

// armUnarmed sets the alarms of posts whose time has come within the horizon, or that changed their time without one.
func (s *Service) armUnarmed(ctx context.Context) (int, error) {
	var posts []Post
	err := s.db.NewSelect().Model(&posts).Column("id", "rev", "wake_at").
		Where("wake_at BETWEEN ? AND ?", s.now().Add(-s.cfg.SweepGrace), s.now().Add(s.cfg.ArmHorizon)).
		Where("armed_at IS DISTINCT FROM wake_at").
		Where("lease IS NULL OR lease_until < now()").
		Where("updated_at < ?", s.now().Add(-s.cfg.SweepGrace)). // whoever moved it just now is arming it
		Order("wake_at").Limit(sweepBatch).Scan(ctx)
	if err != nil {
		return 0, fmt.Errorf("find posts without an alarm: %w", err)
	}
	for i := range posts {
		p := &posts[i]
		if p.WakeAt.Sub(s.now()) < tooNear {
			err = s.bus.Wake(ctx, events.PostDue(p.ID))
		} else {
			err = s.bus.Arm(ctx, events.PostAlarm(p.ID), events.PostDue(p.ID), p.WakeAt, p.Rev)
		}
		if err != nil {
			return 0, err
		}
		_, err = s.db.NewUpdate().Model((*Post)(nil)).Set("armed_at = wake_at").
			Where("id = ? AND rev = ? AND wake_at = ?", p.ID, p.Rev, p.WakeAt).Exec(ctx)
		if err != nil {
			return 0, fmt.Errorf("note an alarm: %w", err)
		}
		sweepArmed.Inc()
	}
	return len(posts), nil
}

// retellUntold tells changes that a crash left untold.
func (s *Service) retellUntold(ctx context.Context) (int, error) {
	var posts []Post
	err := s.db.NewSelect().Model(&posts).
		Where("told_rev < rev AND updated_at < ?", s.now().Add(-retellAfter)).
		Order("updated_at").Limit(sweepBatch).Scan(ctx)
	if err != nil {
		return 0, fmt.Errorf("find untold changes: %w", err)
	}
	for i := range posts {
		if err := s.tell(ctx, &posts[i]); err != nil {
			return 0, err
		}
		sweepRepairs.WithLabelValues("told").Inc()
	}
	return 0, nil // one round is enough: the recorder marks them as it reads them
}

// markArmed sets armed_at of the selected posts and returns their ids.
func (s *Service) markArmed(ctx context.Context, selected *bun.SelectQuery, at time.Time) ([]string, error) {
	var ids []string
	// Joined, not looked for in a list: the table may have a million rows, and each of these is found by its key.
	err := s.db.NewUpdate().With("found", selected.For("UPDATE SKIP LOCKED")).Model((*Post)(nil)).TableExpr("found").
		Set("armed_at = ?", at).Where("post.id = found.id").Returning("post.id").Scan(ctx, &ids)
	return ids, err
}
