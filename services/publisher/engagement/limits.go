package engagement

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/draft"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// GetLimits answers how much of its allowances an account has left, now or at a later time if the queue goes out as it is.
func (s *Service) GetLimits(ctx context.Context, q asks.GetLimits) (asks.Limits, error) {
	now := s.now()
	at := q.At
	if !at.IsZero() && at.Before(now.Add(-draft.PastGrace)) {
		const words = "This time has passed; limits are told for now, or for a later time."
		return asks.Limits{}, events.Faultf(events.Invalid, words).At("/at", "time_in_past", words)
	}
	account, err := accounts.Resolve(ctx, s.side, q.UserID, q.AccountID)
	if err != nil {
		return asks.Limits{}, err
	}
	return s.Forecast(ctx, account, clock.Latest(at, now), now)
}

// Forecast is what an account has left of its allowances at a time. What Threads counts beyond our own uses was used by others, we
// do not know when: it is taken to count for a whole day from now.
func (s *Service) Forecast(ctx context.Context, account accounts.Account, at, now time.Time) (asks.Limits, error) {
	l := asks.Limits{AccountID: account.ID, At: at.UTC()}
	theirs, readAt, err := s.threadsLimits(ctx, account)
	var fault *events.Fault
	switch {
	case errors.As(err, &fault):
		l.Problem = fault // our own reckoning is better than nothing
	case err != nil:
		return asks.Limits{}, err
	default:
		l.ReadAt = posts.OptionalTime(readAt)
	}
	ours, err := s.posts.QuotaUsesAt(ctx, s.side, account.ID, now, at)
	if err != nil {
		return asks.Limits{}, err
	}
	queued, err := s.posts.QueuedUses(ctx, s.side, account.ID, now, at)
	if err != nil {
		return asks.Limits{}, err
	}
	reckon := func(q posts.Quota, theirs threads.Allowance, queued int) asks.Allowance {
		mine := ours[q]
		a := asks.Allowance{Total: q.Total(), Used: mine.Later, Scheduled: queued}
		if theirs.Total > 0 {
			a.Total = theirs.Total
		}
		if others := theirs.Used - mine.Now; others > 0 && at.Before(now.Add(posts.QuotaWindow)) {
			a.Used += others
		}
		a.Remaining = max(a.Total-a.Used-a.Scheduled, 0)
		if a.Remaining == 0 && !mine.Oldest.IsZero() {
			a.FreeAt = posts.OptionalTime(mine.Oldest.Add(posts.QuotaWindow))
		}
		return a
	}
	l.Posts = reckon(posts.QuotaPosts, theirs.Posts, queued.Posts)
	l.Replies = reckon(posts.QuotaReplies, theirs.Replies, queued.Replies)
	l.Deletes = reckon(posts.QuotaDeletes, theirs.Deletes, queued.Deletes)
	l.LocationSearches = reckon(posts.QuotaLocations, theirs.LocationSearches, 0)
	l.KeywordSearches = reckon(posts.QuotaKeywords, threads.Allowance{}, 0)
	l.ProfileLookups = reckon(posts.QuotaProfiles, threads.Allowance{}, 0)
	return l, nil
}

// threadsLimits are the limits as Threads counts them, at most ReadsKept old.
func (s *Service) threadsLimits(ctx context.Context, account accounts.Account) (threads.Limits, time.Time, error) {
	key := fmt.Sprint("limits ", account.ID, account.Rev)
	if l, at, ok := recently[threads.Limits](s.recentReads, key, s.now()); ok {
		return l, at, nil
	}
	l, err := ownercalls.Do(ctx, s.calls, account, "", func(ctx context.Context, a ownercalls.Access) (threads.Limits, error) {
		return s.api.Limits(ctx, a.Token, a.Account.Scopes)
	})
	at := s.now()
	if err == nil {
		s.recentReads.put(key, l, at)
	}
	return l, at, err
}

// searchUse is one search that counts.
type searchUse struct {
	bun.BaseModel `bun:"table:search_uses"`

	AccountID string      `bun:"account_id"`
	Quota     posts.Quota `bun:"quota"`
	At        time.Time   `bun:"at"`
}

// checkSearchQuota refuses a search when the account's allowance is used up.
func (s *Service) checkSearchQuota(ctx context.Context, accountID string, q posts.Quota) error {
	now := s.now()
	uses, err := s.posts.QuotaUsesAt(ctx, s.side, accountID, now, now)
	if err != nil {
		return err
	}
	if u := uses[q]; u.Now >= q.Total() {
		return events.Faultf(events.RateLimited,
			"This account has used its %d searches of this kind of the last 24 hours; please wait.", q.Total()).
			After(u.Oldest.Add(posts.QuotaWindow).Sub(now))
	}
	return nil
}

// countSearch saves a search that counts. When that fails we may search once too often, which Threads refuses itself.
func (s *Service) countSearch(ctx context.Context, accountID string, q posts.Quota) {
	_, err := s.side.NewInsert().Model(&searchUse{AccountID: accountID, Quota: q, At: s.now()}).Exec(ctx)
	if err != nil {
		s.log.Warn("a search is not counted", zap.String("account_id", accountID), zap.Error(err))
	}
}

// deleteSearches deletes the searches that no longer count.
func deleteSearches(ctx context.Context, db bun.IDB, now time.Time) error {
	if _, err := db.NewDelete().Model((*searchUse)(nil)).Where("at < ?", now.Add(-2*posts.QuotaWindow)).Exec(ctx); err != nil {
		return fmt.Errorf("delete old searches: %w", err)
	}
	return nil
}
