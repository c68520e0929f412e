package engagement

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

const (
	// collectEvery is how often accounts are looked for whose insights are due, firstWithin how soon a new account has its first.
	collectEvery = time.Minute
	firstWithin  = 10 * time.Minute
	// collectAgainAfter is when an account is tried again whose insights could not all be read.
	collectAgainAfter = time.Hour
	// insightsFor is how old a post may be whose insights are collected: after a month they hardly change.
	insightsFor = 30 * 24 * time.Hour
)

// CollectInsights saves the insights of every account and of its latest posts, once in InsightsEvery, so that their trends can be
// asked for later. It is the least urgent work of a publisher: few accounts at a time, with a pause after each call, and none
// while publishing takes half of its calls.
func (s *Service) CollectInsights(ctx context.Context) error {
	if s.cfg.InsightsEvery == 0 {
		return nil
	}
	for clock.Sleep(ctx, min(collectEvery, s.cfg.InsightsEvery)) {
		if !s.ready() {
			continue
		}
		if err := s.collectDue(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("insights are not collected this time", zap.Error(err))
		}
	}
	return nil
}

func (s *Service) collectDue(ctx context.Context) error {
	if err := deleteSearches(ctx, s.db, s.now()); err != nil {
		return err
	}
	if s.cfg.InsightsKept > 0 {
		if err := deleteSnapshots(ctx, s.db, s.now().Add(-s.cfg.InsightsKept)); err != nil {
			return err
		}
	}
	if err := planCollections(ctx, s.db, s.now(), min(firstWithin, s.cfg.InsightsEvery)); err != nil {
		return err
	}
	for ctx.Err() == nil {
		due, err := claimDue(ctx, s.db, s.now(), s.cfg.InsightsAtOnce)
		if err != nil || len(due) == 0 {
			return err
		}
		var g errgroup.Group
		for _, id := range due {
			g.Go(func() error {
				// It was claimed for an hour: one that fails keeps no other from being collected.
				if err := s.collectAccount(ctx, id); err != nil && ctx.Err() == nil {
					s.log.Warn("the insights of an account are not collected this time", zap.String("account_id", id), zap.Error(err))
				}
				return nil
			})
		}
		_ = g.Wait() // each was logged
	}
	return ctx.Err()
}

// collectAccount collects the insights of one account. What Threads does not answer now is asked again the next time.
func (s *Service) collectAccount(ctx context.Context, accountID string) error {
	account, err := accounts.Get(ctx, s.db, accountID)
	if err != nil {
		return err
	}
	ended, err := s.collect(ctx, account)
	if err != nil || !ended {
		return err // it stays due in an hour
	}
	_, err = s.db.NewUpdate().Table("insight_rounds").Set("next_at = ?", s.now().Add(s.cfg.InsightsEvery)).
		Where("account_id = ?", accountID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("save when insights are due: %w", err)
	}
	return nil
}

// collect reads and saves the insights of an account and its latest posts. ended is false when Threads answers no more for now.
func (s *Service) collect(ctx context.Context, account accounts.Account) (ended bool, err error) {
	mediaIDs, err := s.posts.LatestMediaIDs(ctx, account, s.now().Add(-insightsFor), s.cfg.InsightsPosts)
	if err != nil {
		return false, err
	}
	for _, mediaID := range append([]string{""}, mediaIDs...) {
		if !s.waitForRoom(ctx) {
			return false, nil
		}
		read := func(ctx context.Context, a ownercalls.Access) ([]threads.Metric, error) {
			if mediaID == "" {
				return s.api.AccountInsights(ctx, a.Token, threads.InsightsQuery{})
			}
			return s.api.MediaInsights(ctx, a.Token, mediaID)
		}
		metrics, err := ownercalls.Do(ctx, s.calls, account, threads.ScopeManageInsights, read)
		fault := new(events.Fault)
		switch {
		case errors.As(err, &fault) && (fault.Code == events.NotFound || fault.Code == events.Refused):
			// This post is deleted, or has no insights; the next may have some.
		case errors.As(err, &fault):
			return false, nil
		case err != nil:
			return false, err
		default:
			if err := saveSnapshot(ctx, s.db, subject{account.ID, mediaID}, s.now(), metricsOf(metrics)); err != nil {
				return false, err
			}
		}
		if !clock.Sleep(ctx, s.cfg.InsightsSpacing) {
			return false, nil
		}
	}
	return true, nil
}

// waitForRoom waits until publishing leaves room.
func (s *Service) waitForRoom(ctx context.Context) bool {
	for s.busy() {
		if !clock.Sleep(ctx, time.Second) {
			return false
		}
	}
	return ctx.Err() == nil
}

// planCollections plans the first collection of every account that allows it, at a random moment within the given time, so that
// not all come at once.
func planCollections(ctx context.Context, db bun.IDB, now time.Time, within time.Duration) error {
	type row struct {
		AccountID string    `bun:"account_id"`
		NextAt    time.Time `bun:"next_at"`
	}
	var ids []string
	err := db.NewSelect().Model((*accounts.Account)(nil)).Column("id").
		Where("status = ? AND ? = ANY (scopes)", events.ConnectionActive, threads.ScopeManageInsights).
		Where("NOT EXISTS (SELECT 1 FROM insight_rounds r WHERE r.account_id = account.id)").Limit(1000).Scan(ctx, &ids)
	if err != nil || len(ids) == 0 {
		return err
	}
	rows := make([]row, len(ids))
	for i, id := range ids {
		rows[i] = row{id, now.Add(rand.N(within))} //nolint:gosec // spreads the load, guards nothing
	}
	_, err = db.NewInsert().Model(&rows).ModelTableExpr("insight_rounds").On("CONFLICT DO NOTHING").Exec(ctx)
	if err != nil {
		return fmt.Errorf("plan collections: %w", err)
	}
	return nil
}

// claimDue claims accounts whose insights are due, for an hour: when the process that claimed one dies, another collects it then.
// Accounts without the scope or a valid token are left out.
func claimDue(ctx context.Context, db bun.IDB, now time.Time, limit int) (ids []string, err error) {
	due := db.NewSelect().TableExpr("insight_rounds AS r").ColumnExpr("r.account_id").
		Join("JOIN social_connections c ON c.id = r.account_id").
		Where("r.next_at <= ? AND c.status = ? AND ? = ANY (c.scopes)", now, events.ConnectionActive, threads.ScopeManageInsights).
		Order("r.next_at").Limit(int64(limit)).For("UPDATE OF r SKIP LOCKED")
	err = db.NewUpdate().With("due", due).TableExpr("insight_rounds AS r").TableExpr("due").
		Set("next_at = ?", now.Add(collectAgainAfter)).Where("r.account_id = due.account_id").Returning("r.account_id").Scan(ctx, &ids)
	if err != nil {
		return nil, fmt.Errorf("claim due insights: %w", err)
	}
	return ids, nil
}
