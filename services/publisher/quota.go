package publisher

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// quota is one of the allowances that Threads gives an account for any 24 hours, whoever uses them (threads-api §4.14).
type quota string

const (
	quotaPosts   quota = "posts"
	quotaReplies quota = "replies"
	quotaDeletes quota = "deletes"
)

const quotaWindow = 24 * time.Hour

// total is how much of a quota an account has.
func (q quota) total() int {
	switch q {
	case quotaReplies:
		return 1000
	case quotaDeletes:
		return 100
	case quotaKeywords:
		return 2200
	case quotaProfiles:
		return 1000
	case quotaLocations:
		return 500
	}
	return 250
}

// full is what the owner of a post that has to wait for room is told.
func (q quota) full() *events.Fault {
	switch q {
	case quotaReplies:
		return events.Faultf(events.RateLimited, "This account has used its 1,000 replies of the last 24 hours; the reply goes out when there is room again.")
	case quotaDeletes:
		return events.Faultf(events.RateLimited, "This account has used its 100 deletions of the last 24 hours; the post is deleted when there is room again.")
	}
	return events.Faultf(events.RateLimited, "This account has used its 250 posts of the last 24 hours; the post goes out when there is room again.")
}

// spends is the quota that publishing the part in hand uses.
func (p *Post) spends() quota {
	if p.replies() {
		return quotaReplies
	}
	return quotaPosts
}

// use is one place of an account's quota that is taken. A claim is its reservation: it counts from then on.
type use struct {
	bun.BaseModel `bun:"table:quota_uses"`

	AccountID string    `bun:"account_id"`
	Quota     quota     `bun:"quota"`
	At        time.Time `bun:"at"`
	PostID    string    `bun:"post_id"`
	Part      int       `bun:"part"`
}

// usage is how much of a quota is used.
type usage struct {
	AccountID string    `bun:"account_id"`
	Quota     quota     `bun:"quota"`
	Used      int       `bun:"used"`
	Oldest    time.Time `bun:"oldest"`
	Latest    time.Time `bun:"latest,nullzero"` // of other posts than those that were asked about
	Own       []string  `bun:"own,array"`       // places that those posts have already
}

// has says whether a post that was asked about has its place already: another call for the same part takes no second one.
func (u usage) has(postID string, part int) bool {
	return slices.Contains(u.Own, placeOf(postID, part))
}

func placeOf(postID string, part int) string { return postID + "/" + strconv.Itoa(part) }

type quotaOf struct {
	account string
	quota   quota
}

// used reads what accounts have used within the window, and what of it the given posts have. The caller holds the accounts'
// locks if it means to use more.
func used(ctx context.Context, db bun.IDB, accounts []string, now time.Time, posts ...string) (map[quotaOf]usage, error) {
	var rows []usage
	own := bun.List(append(posts, "")) // no empty list
	err := db.NewSelect().Model((*use)(nil)).Column("account_id", "quota").
		ColumnExpr("count(*) AS used, min(at) AS oldest, max(at) FILTER (WHERE NOT post_id IN (?)) AS latest", own).
		ColumnExpr("coalesce(array_agg(post_id || '/' || part) FILTER (WHERE post_id IN (?)), '{}') AS own", own).
		Where("account_id IN (?) AND at > ?", bun.List(accounts), now.Add(-quotaWindow)).
		Group("account_id", "quota").Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("count the quotas: %w", err)
	}
	m := make(map[quotaOf]usage, len(rows))
	for _, r := range rows {
		m[quotaOf{r.AccountID, r.Quota}] = r
	}
	return m, nil
}

// spend takes places. Taking the place of the same part again moves it to now.
func spend(ctx context.Context, db bun.IDB, uses ...use) error {
	_, err := db.NewInsert().Model(&uses).On("CONFLICT (post_id, part, quota) DO UPDATE").Set("at = EXCLUDED.at").Exec(ctx)
	if err != nil {
		return fmt.Errorf("reserve quota: %w", err)
	}
	return nil
}

// A place is kept by what is live, and by what may be. Every move that ends the part in hand otherwise gives its place back,
// in the transaction of the move (store.save), and so does a deletion that Threads refused.

// mayBeLive says that the part in hand is live, or that a call may have made it so.
func (p *Post) mayBeLive() bool {
	return p.Doubt && !final(p.State) || p.State == events.StateConcluding && p.Fact == events.FactPublished
}

// liveAt says whether a part is live.
func (p *Post) liveAt(part int) bool {
	if p.chain() {
		return part < len(p.Parts) && p.Parts[part].MediaID != ""
	}
	return p.MediaID != ""
}

// freed is the place that a move gives back, nil where it gives none.
func freed(was, p *Post) *use {
	switch {
	case p.undeleted > 0:
		return &use{PostID: p.ID, Part: p.undeleted, Quota: quotaDeletes}
	case was.mayBeLive() && !p.mayBeLive() && !p.liveAt(was.turn()):
		return &use{PostID: p.ID, Part: was.turn(), Quota: was.spends()}
	}
	return nil
}

// giveBack frees a place.
func giveBack(ctx context.Context, db bun.IDB, u use) error {
	_, err := db.NewDelete().Model((*use)(nil)).Where("post_id = ? AND part = ? AND quota = ?", u.PostID, u.Part, u.Quota).Exec(ctx)
	if err != nil {
		return fmt.Errorf("give quota back: %w", err)
	}
	return nil
}

// giveBackDead frees the places of what is not live of a post that an event ends as failed or cancelled.
func giveBackDead(ctx context.Context, db bun.IDB, p *Post) error {
	if p.State != events.StateFailed && p.State != events.StateCancelled {
		return nil
	}
	q := db.NewDelete().Model((*use)(nil)).Where("post_id = ? AND quota <> ?", p.ID, quotaDeletes)
	for part := range max(len(p.Parts), 1) {
		if p.liveAt(part) {
			q = q.Where("part <> ?", part)
		}
	}
	if _, err := q.Exec(ctx); err != nil {
		return fmt.Errorf("give quota back: %w", err)
	}
	return nil
}

// misplaced are places of an account that neither a live part keeps nor one that may be live: there must be none.
func misplaced(ctx context.Context, db bun.IDB, accountID string) (places []string, err error) {
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

// forgetUses deletes what has left the window long ago.
func (s *store) forgetUses(ctx context.Context, now time.Time) error {
	_, err := s.db.NewDelete().Model((*use)(nil)).Where("at < ?", now.Add(-2*quotaWindow)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("forget old uses: %w", err)
	}
	return nil
}
