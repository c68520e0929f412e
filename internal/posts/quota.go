package posts

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/pg"
)

// The allowances of searching; those of posting are in quota.go. Threads shows only that of locations.
const (
	QuotaKeywords  Quota = "keyword_searches"
	QuotaProfiles  Quota = "profile_lookups"
	QuotaLocations Quota = "location_searches"
)

// QuotaUses is what we have used of a quota: what counts now, what will still count at a later time, and the oldest of that.
type QuotaUses struct {
	Quota  Quota     `bun:"quota"`
	Now    int       `bun:"now"`
	Later  int       `bun:"later"`
	Oldest time.Time `bun:"oldest"`
}

func (s *Store) QuotaUsesAt(ctx context.Context, db bun.IDB, accountID string, now, at time.Time) (map[Quota]QuotaUses, error) {
	var rows []QuotaUses
	err := db.NewRaw(`SELECT quota, count(*) AS now,
			count(*) FILTER (WHERE at > ?0) AS later, min(at) FILTER (WHERE at > ?0) AS oldest
		FROM (SELECT quota, at FROM quota_uses WHERE account_id = ?1 AND at > ?2
			UNION ALL SELECT quota, at FROM search_uses WHERE account_id = ?1 AND at > ?2) AS uses
		GROUP BY quota`, at.Add(-QuotaWindow), accountID, now.Add(-QuotaWindow)).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("count the uses of an account: %w", err)
	}
	m := make(map[Quota]QuotaUses, len(rows))
	for _, r := range rows {
		m[r.Quota] = r
	}
	return m, nil
}

// Queued is what an account's open posts will use.
type Queued struct {
	Posts   int `bun:"posts"`
	Replies int `bun:"replies"`
	Deletes int `bun:"deletes"`
}

// QueuedUses counts what goes out by the given time and will still count then. What is overdue goes out now; what is claimed
// has its place in quota_uses already. Of a chain only the first part is a post, unless it replies itself.
func (s *Store) QueuedUses(ctx context.Context, db bun.IDB, accountID string, now, at time.Time) (Queued, error) {
	var q Queued
	from := at.Add(-QuotaWindow)
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

// Quota is one of the allowances that Threads gives an account for any 24 hours, whoever uses them (threads-api §4.14).
type Quota string

const (
	QuotaPosts   Quota = "posts"
	QuotaReplies Quota = "replies"
	QuotaDeletes Quota = "deletes"
)

const QuotaWindow = 24 * time.Hour

// Total is how much of a quota an account has.
func (q Quota) Total() int {
	switch q {
	case QuotaReplies:
		return 1000
	case QuotaDeletes:
		return 100
	case QuotaKeywords:
		return 2200
	case QuotaProfiles:
		return 1000
	case QuotaLocations:
		return 500
	}
	return 250
}

// FullFault is what the owner of a post that has to wait for room reads.
func (q Quota) FullFault() *events.Fault {
	switch q {
	case QuotaReplies:
		return events.Faultf(events.RateLimited, "This account has used its 1,000 replies of the last 24 hours; the reply goes out when there is room again.")
	case QuotaDeletes:
		return events.Faultf(events.RateLimited, "This account has used its 100 deletions of the last 24 hours; the post is deleted when there is room again.")
	}
	return events.Faultf(events.RateLimited, "This account has used its 250 posts of the last 24 hours; the post goes out when there is room again.")
}

// QuotaOf is the quota that publishing the part in hand uses.
func QuotaOf(p *Post) Quota {
	if p.IsReply() {
		return QuotaReplies
	}
	return QuotaPosts
}

// QuotaUse is one place of an account's quota that is taken. A claim is its reservation: it counts from then on.
type QuotaUse struct {
	bun.BaseModel `bun:"table:quota_uses"`

	AccountID string    `bun:"account_id"`
	Quota     Quota     `bun:"quota"`
	At        time.Time `bun:"at"`
	PostID    string    `bun:"post_id"`
	Part      int       `bun:"part"`
}

// QuotaUsage is how much of a quota is used.
type QuotaUsage struct {
	AccountID string    `bun:"account_id"`
	Quota     Quota     `bun:"quota"`
	Used      int       `bun:"used"`
	Oldest    time.Time `bun:"oldest"`
	Latest    time.Time `bun:"latest,nullzero"` // of other posts than those that were asked about
	// Own are the places that those posts have already, and since when.
	Own map[string]time.Time `bun:"own,type:jsonb"`
}

// LatestBut is when a place was last taken by any other post than this one.
func (u QuotaUsage) LatestBut(postID string) time.Time {
	latest := u.Latest
	for place, at := range u.Own {
		if !strings.HasPrefix(place, postID+"/") {
			latest = clock.Latest(latest, at)
		}
	}
	return latest
}

// Has says whether a post that was asked about has its place already: another call for the same part takes no second one.
func (u QuotaUsage) Has(postID string, part int) bool {
	_, has := u.Own[placeOf(postID, part)]
	return has
}

func placeOf(postID string, part int) string { return postID + "/" + strconv.Itoa(part) }

type AccountQuota struct {
	Account string
	Quota   Quota
}

// QuotaUsed reads what accounts have used within the window, and what of it the given posts have. The caller holds the accounts'
// locks if it means to use more.
func QuotaUsed(ctx context.Context, db bun.IDB, accounts []string, now time.Time, posts ...string) (map[AccountQuota]QuotaUsage, error) {
	var rows []QuotaUsage
	// By account, in the order of the index that is meant: the other index has the uses of everybody. A list of posts that is a parameter
	// would be gone through for each use; a subquery is hashed.
	const text = `SELECT a.id AS account_id, uses.* FROM (SELECT DISTINCT unnest($1::text[]) AS id) AS a CROSS JOIN LATERAL (
			SELECT quota, count(*) AS used, min(at) AS oldest, max(at) FILTER (WHERE NOT own) AS latest,
				coalesce(jsonb_object_agg(post_id || '/' || part, at) FILTER (WHERE own), '{}') AS own
			FROM (
				SELECT quota, at, post_id, part, post_id IN (SELECT unnest($3::text[])) AS own FROM quota_uses
				WHERE account_id = a.id AND at > $2::timestamptz ORDER BY account_id, quota, at
			) AS each GROUP BY quota
		) AS uses`
	if posts == nil {
		posts = []string{}
	}
	if err := pg.Prepared(ctx, db, text, []any{accounts, now.Add(-QuotaWindow), posts}, &rows); err != nil {
		return nil, fmt.Errorf("count the quotas: %w", err)
	}
	m := make(map[AccountQuota]QuotaUsage, len(rows))
	for _, r := range rows {
		m[AccountQuota{r.AccountID, r.Quota}] = r
	}
	return m, nil
}

// SpendQuota takes places. Taking the place of the same part again moves it to now.
func SpendQuota(ctx context.Context, db bun.IDB, uses ...QuotaUse) error {
	rows, err := pg.NewRows(db, 1, &uses)
	if err != nil {
		return err
	}
	var taken []string
	err = pg.Prepared(ctx, db, "INSERT INTO quota_uses (account_id, quota, at, post_id, part) SELECT account_id, quota, at, post_id, part FROM ("+
		rows.From+") AS uses ON CONFLICT (post_id, part, quota) DO UPDATE SET at = EXCLUDED.at RETURNING post_id", rows.Args, &taken)
	if err != nil {
		return fmt.Errorf("reserve quota: %w", err)
	}
	return nil
}

// A place is kept by what is live, and by what may be. Every move that ends the part in hand otherwise gives its place back,
// in the transaction of the move (Store.Save), and so does a deletion that Threads refused.

// MayBeLive says that the part in hand is live, or that a call may have made it so.
func MayBeLive(p *Post) bool {
	return p.Doubt && !IsFinal(p.State) || p.State == events.StateConcluding && p.Fact == events.FactPublished
}

// liveAt says whether a part is live.
func liveAt(p *Post, part int) bool {
	if p.IsChain() {
		return part < len(p.Parts) && p.Parts[part].MediaID != ""
	}
	return p.MediaID != ""
}

// freed is the place that a move gives back, nil where it gives none.
func freed(was, p *Post) *QuotaUse {
	switch {
	case p.Undeleted > 0:
		return &QuotaUse{PostID: p.ID, Part: p.Undeleted, Quota: QuotaDeletes}
	case MayBeLive(was) && !MayBeLive(p) && !liveAt(p, was.CurrentPart()):
		return &QuotaUse{PostID: p.ID, Part: was.CurrentPart(), Quota: QuotaOf(was)}
	}
	return nil
}

// FreeQuota frees a place.
func FreeQuota(ctx context.Context, db bun.IDB, u QuotaUse) error {
	_, err := db.NewDelete().Model((*QuotaUse)(nil)).Where("post_id = ? AND part = ? AND quota = ?", u.PostID, u.Part, u.Quota).Exec(ctx)
	if err != nil {
		return fmt.Errorf("give quota back: %w", err)
	}
	return nil
}

// FreeQuotaOfEnded frees the places of what is not live of a post that an event ends as failed or cancelled.
func FreeQuotaOfEnded(ctx context.Context, db bun.IDB, p *Post) error {
	if p.State != events.StateFailed && p.State != events.StateCancelled {
		return nil
	}
	q := db.NewDelete().Model((*QuotaUse)(nil)).Where("post_id = ? AND quota <> ?", p.ID, QuotaDeletes)
	for part := range max(len(p.Parts), 1) {
		if liveAt(p, part) {
			q = q.Where("part <> ?", part)
		}
	}
	if _, err := q.Exec(ctx); err != nil {
		return fmt.Errorf("give quota back: %w", err)
	}
	return nil
}

// MisplacedQuota are places of an account that neither a live part keeps nor one that may be live: there must be none.
func MisplacedQuota(ctx context.Context, db bun.IDB, accountID string) (places []string, err error) {
	err = db.NewRaw(`SELECT u.post_id || '/' || u.part || ' ' || u.quota FROM quota_uses AS u LEFT JOIN posts AS p ON p.id = u.post_id
		WHERE u.account_id = ? AND u.quota <> 'deletes' AND NOT coalesce(
			CASE WHEN p.parts = '[]' THEN p.media_id ELSE p.parts->u.part->>'mediaId' END IS NOT NULL
			OR p.doubt, false)
		ORDER BY 1`, accountID).Scan(ctx, &places)
	if err != nil {
		return nil, fmt.Errorf("look for places that nobody keeps: %w", err)
	}
	return places, nil
}

// ForgetQuotaUses deletes what has left the window long ago.
func (s *Store) ForgetQuotaUses(ctx context.Context, now time.Time) error {
	_, err := s.DB.NewDelete().Model((*QuotaUse)(nil)).Where("at < ?", now.Add(-2*QuotaWindow)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("forget old uses: %w", err)
	}
	return nil
}
