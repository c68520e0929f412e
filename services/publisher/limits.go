package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/threads"
)

// The allowances of searching; those of posting are in quota.go. Threads shows only that of locations.
const (
	quotaKeywords  quota = "keyword_searches"
	quotaProfiles  quota = "profile_lookups"
	quotaLocations quota = "location_searches"
)

// GetLimits answers how much of its allowances an account has left, now or at a later time if the queue goes out as it is.
func (s *Service) GetLimits(ctx context.Context, q events.GetLimits) (events.Limits, error) {
	now := s.now()
	at := q.At
	if !at.IsZero() && at.Before(now.Add(-pastGrace)) {
		const words = "This time has passed; limits are told for now, or for a later time."
		return events.Limits{}, events.Faultf(events.Invalid, words).At("/at", "time_in_past", words)
	}
	account, err := accounts.Resolve(ctx, s.side().db, q.UserID, q.AccountID)
	if err != nil {
		return events.Limits{}, err
	}
	return s.forecast(ctx, account, clock.Latest(at, now), now)
}

// forecast is what an account has left at a time. What Threads counts beyond our own uses was used by others, we do not
// know when: it is taken to count for a whole day from now.
func (s *Service) forecast(ctx context.Context, account accounts.Account, at, now time.Time) (events.Limits, error) {
	l := events.Limits{AccountID: account.ID, At: at.UTC()}
	theirs, readAt, err := s.theirLimits(ctx, account)
	var fault *events.Fault
	switch {
	case errors.As(err, &fault):
		l.Problem = fault // our own reckoning is better than nothing
	case err != nil:
		return events.Limits{}, err
	default:
		l.ReadAt = optionalTime(readAt)
	}
	ours, err := s.side().usesAt(ctx, s.side().db, account.ID, now, at)
	if err != nil {
		return events.Limits{}, err
	}
	queued, err := s.side().queued(ctx, s.side().db, account.ID, now, at)
	if err != nil {
		return events.Limits{}, err
	}
	reckon := func(q quota, theirs threads.Allowance, queued int) events.Allowance {
		mine := ours[q]
		a := events.Allowance{Total: q.total(), Used: mine.Later, Scheduled: queued}
		if theirs.Total > 0 {
			a.Total = theirs.Total
		}
		if others := theirs.Used - mine.Now; others > 0 && at.Before(now.Add(quotaWindow)) {
			a.Used += others
		}
		a.Remaining = max(a.Total-a.Used-a.Scheduled, 0)
		if a.Remaining == 0 && !mine.Oldest.IsZero() {
			a.FreeAt = optionalTime(mine.Oldest.Add(quotaWindow))
		}
		return a
	}
	l.Posts = reckon(quotaPosts, theirs.Posts, queued.Posts)
	l.Replies = reckon(quotaReplies, theirs.Replies, queued.Replies)
	l.Deletes = reckon(quotaDeletes, theirs.Deletes, queued.Deletes)
	l.LocationSearches = reckon(quotaLocations, theirs.LocationSearches, 0)
	l.KeywordSearches = reckon(quotaKeywords, threads.Allowance{}, 0)
	l.ProfileLookups = reckon(quotaProfiles, threads.Allowance{}, 0)
	return l, nil
}

// theirLimits is Threads' word, at most ReadsKept old.
func (s *Service) theirLimits(ctx context.Context, account accounts.Account) (threads.Limits, time.Time, error) {
	key := fmt.Sprint("limits ", account.ID, account.Rev)
	if l, at, ok := lately[threads.Limits](&s.errands.kept, key, s.now()); ok {
		return l, at, nil
	}
	l, err := errand(ctx, s, account, "", func(ctx context.Context, a access) (threads.Limits, error) {
		return s.api.Limits(ctx, a.token, a.account.Scopes)
	})
	at := s.now()
	if err == nil {
		s.errands.kept.put(key, l, at)
	}
	return l, at, err
}

// usesOf is what we have used of a quota: what counts now, what will still count at a later time, and the oldest of that.
type usesOf struct {
	Quota  quota     `bun:"quota"`
	Now    int       `bun:"now"`
	Later  int       `bun:"later"`
	Oldest time.Time `bun:"oldest"`
}

func (s *store) usesAt(ctx context.Context, db bun.IDB, accountID string, now, at time.Time) (map[quota]usesOf, error) {
	var rows []usesOf
	err := db.NewRaw(`SELECT quota, count(*) AS now,
			count(*) FILTER (WHERE at > ?0) AS later, min(at) FILTER (WHERE at > ?0) AS oldest
		FROM (SELECT quota, at FROM quota_uses WHERE account_id = ?1 AND at > ?2
			UNION ALL SELECT quota, at FROM search_uses WHERE account_id = ?1 AND at > ?2) AS uses
		GROUP BY quota`, at.Add(-quotaWindow), accountID, now.Add(-quotaWindow)).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("count the uses of an account: %w", err)
	}
	m := make(map[quota]usesOf, len(rows))
	for _, r := range rows {
		m[r.Quota] = r
	}
	return m, nil
}

// queue is what an account's open posts will use.
type queue struct {
	Posts   int `bun:"posts"`
	Replies int `bun:"replies"`
	Deletes int `bun:"deletes"`
}

// queued counts what goes out by the given time and will still count then. What is overdue goes out now; what is claimed
// has its place in quota_uses already. Of a chain only the first part is a post, unless it replies itself.
func (s *store) queued(ctx context.Context, db bun.IDB, accountID string, now, at time.Time) (queue, error) {
	var q queue
	from := at.Add(-quotaWindow)
	err := db.NewRaw(`
		SELECT coalesce(sum(post), 0) AS posts, coalesce(sum(parts - post), 0) AS replies,
			(SELECT count(*) FROM posts WHERE account_id = ?0 AND delete_requested_at IS NOT NULL AND deleted_at IS NULL AND ?3
				AND NOT EXISTS (SELECT 1 FROM quota_uses u WHERE u.post_id = posts.id AND u.quota = 'deletes')) AS deletes
		FROM (
			SELECT CASE WHEN parts = '[]' THEN 1
					ELSE (SELECT count(*) FROM jsonb_array_elements(parts) AS part WHERE part->>'mediaId' IS NULL) END AS parts,
				CASE WHEN reply_to IS NOT NULL OR parts->0->>'mediaId' IS NOT NULL THEN 0 ELSE 1 END AS post
			FROM posts
			WHERE account_id = ?0 AND state IN (?4) AND publish_at <= ?1 AND (publish_at > ?2 OR ?3)
		) AS open`,
		accountID, at, from, now.After(from),
		bun.List([]events.State{events.StateScheduled, events.StateReady, events.StateWaiting})).Scan(ctx, &q)
	if err != nil {
		return q, fmt.Errorf("count the queue of an account: %w", err)
	}
	return q, nil
}

// searchUse is one search that counts.
type searchUse struct {
	bun.BaseModel `bun:"table:search_uses"`

	AccountID string    `bun:"account_id"`
	Quota     quota     `bun:"quota"`
	At        time.Time `bun:"at"`
}

// maySearch refuses a search for which no place is left.
func (s *Service) maySearch(ctx context.Context, accountID string, q quota) error {
	now := s.now()
	uses, err := s.side().usesAt(ctx, s.side().db, accountID, now, now)
	if err != nil {
		return err
	}
	if u := uses[q]; u.Now >= q.total() {
		return events.Faultf(events.RateLimited,
			"This account has used its %d searches of this kind of the last 24 hours; please wait.", q.total()).
			After(u.Oldest.Add(quotaWindow).Sub(now))
	}
	return nil
}

// searched notes a search that counts. A note that is lost makes us ask once too often, and Threads says so itself.
func (s *Service) searched(ctx context.Context, accountID string, q quota) {
	_, err := s.side().db.NewInsert().Model(&searchUse{AccountID: accountID, Quota: q, At: s.now()}).Exec(ctx)
	if err != nil {
		s.log.Warn("a search is not counted", accountField(accountID), errField(err))
	}
}

// forgetSearches deletes what has left the window long ago.
func forgetSearches(ctx context.Context, db bun.IDB, now time.Time) error {
	if _, err := db.NewDelete().Model((*searchUse)(nil)).Where("at < ?", now.Add(-2*quotaWindow)).Exec(ctx); err != nil {
		return fmt.Errorf("forget old searches: %w", err)
	}
	return nil
}
