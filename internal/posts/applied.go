package posts

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// Progress is how far a row has come, and up to which of its revisions its events are on EVENTS.
type Progress struct {
	ID      string       `bun:"id"`
	Rev     int64        `bun:"rev"`
	ToldRev int64        `bun:"told_rev"`
	State   events.State `bun:"state"`
}

// MissesOutcome says that the row does not know of its post what a PostPublished says: that was emitted by one who could no
// longer write it, while others moved the row on.
func (p Progress) MissesOutcome() bool {
	return p.State != events.StatePublished && p.State != events.StateConcluding
}

// ProgressOf reads how far posts have come. It locks nothing: whoever emitted an event applies it at the same moment, and
// what is written afterwards is guarded by the row's rev.
func ProgressOf(ctx context.Context, db bun.IDB, ids []string) (map[string]Progress, error) {
	if len(ids) == 0 {
		return nil, nil //nolint:nilnil // nothing to read
	}
	var rows []Progress
	err := db.NewSelect().Table("posts").Column("id", "rev", "told_rev", "state").Where("id IN (?)", bun.List(ids)).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("read revs: %w", err)
	}
	m := make(map[string]Progress, len(rows))
	for _, row := range rows {
		m[row.ID] = row
	}
	return m, nil
}

// Finalize makes rows final that are noted as published and lack nothing but the event: the usual case, in one statement.
// It gets the posts as their events say they are, and returns those it made final. A row that somebody else holds is left, and so
// is one for whose outcome a command waits: that ends with it.
func Finalize(ctx context.Context, db *bun.DB, list []Post) (map[string]bool, error) {
	type row struct {
		ID        string          `bun:"id"`
		State     events.State    `bun:"was_state"`
		Fact      events.PostFact `bun:"was_fact"`
		Rev       int64           `bun:"rev"`
		Permalink string          `bun:"permalink"`
		Parts     []events.Part   `bun:"parts,type:jsonb"`
		UpdatedAt time.Time       `bun:"updated_at,type:timestamptz"`
		WakeAt    *time.Time      `bun:"wake_at,type:timestamptz"` // for a permalink that is late
	}
	if len(list) == 0 {
		return nil, nil //nolint:nilnil // nothing to make
	}
	rows := make([]row, len(list))
	for i, p := range list {
		parts := p.Parts
		if parts == nil {
			parts = []events.Part{}
		}
		rows[i] = row{p.ID, events.StateConcluding, events.FactPublished, p.Rev, p.Permalink, parts, p.UpdatedAt, OptionalTime(p.WakeAt)}
	}
	var made []string
	err := updateRows(ctx, db, together{rows: &rows, list: "o", set: func(q *bun.UpdateQuery) *bun.UpdateQuery {
		return q.
			Set("state = 'published', rev = o.rev, told_rev = o.rev, updated_at = o.updated_at").
			Set("permalink = nullif(o.permalink, ''), parts = o.parts").
			Set("wake_at = o.wake_at, failures = 0, armed_at = NULL, lease = NULL, lease_until = NULL").
			Where("post.rev = o.rev - 1 AND post.state = o.was_state AND post.fact = o.was_fact").
			// A count, where NOT EXISTS would be a join, and change how the rows are found.
			Where("(SELECT count(*) FROM commands AS c WHERE c.post_id = post.id AND c.outcome IS NULL) = 0").
			Returning("post.id")
	}}, &made)
	if err != nil {
		return nil, fmt.Errorf("apply %s: %w", events.FactPublished, err)
	}
	final := make(map[string]bool, len(made))
	for _, id := range made {
		final[id] = true
	}
	return final, nil
}

// MarkEmitted notes of rows that the events of these revisions are on EVENTS. A row that somebody else holds is left as it
// is, for all that comes after it would wait: the sweep finds it.
func MarkEmitted(ctx context.Context, tx bun.Tx, revs map[string]int64) error {
	type row struct {
		ID  string `bun:"id"`
		Rev int64  `bun:"rev"`
	}
	if len(revs) == 0 {
		return nil
	}
	rows := make([]row, 0, len(revs))
	for id, rev := range revs {
		rows = append(rows, row{id, rev})
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.ID, b.ID) })
	var marked []string
	err := together{rows: &rows, list: "t", set: func(q *bun.UpdateQuery) *bun.UpdateQuery {
		return q.Set("told_rev = t.rev").
			Where("post.rev = t.rev AND post.told_rev < t.rev").Returning("post.id")
	}}.in(ctx, tx, &marked)
	if err != nil {
		return fmt.Errorf("mark as emitted: %w", err)
	}
	return nil
}

// Apply brings the row to what an event says, if the row is behind; a row that is missing (an empty table, a restored one)
// is written anew. A row that is already there is only marked as emitted. The working columns of a row that is behind belong
// to another revision, so they begin anew.
func Apply(ctx context.Context, tx bun.Tx, p *Post, t Timing, now time.Time) error {
	res, err := tx.NewUpdate().Model((*Post)(nil)).
		Set("told_rev = ?", p.Rev).
		Where("id = ? AND rev = ? AND told_rev < ?", p.ID, p.Rev, p.Rev).Exec(ctx)
	if err != nil {
		return fmt.Errorf("mark as emitted: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	t.WakeAfterReplay(p, now)
	p.Canonicalize()
	res, err = tx.NewInsert().Model(p).
		Value("call_deadline", "CASE WHEN ? THEN clock_timestamp() END", p.Doubt). // whenever its call was made, it has ended by then
		On("CONFLICT (id) DO UPDATE").
		Set(excluded(slices.Concat(contentColumns, outcomeColumns, progressColumns, turnColumns))).
		Set(excludedUnlessConcluding(triedColumns)).
		// Only a higher rev: a late or doubled event changes nothing.
		Where("post.rev < EXCLUDED.rev").Exec(ctx)
	if err != nil {
		return fmt.Errorf("apply %s: %w", p.Fact, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return FreeQuotaOfEnded(ctx, tx, p)
}

// WakeOfAccount has the posts of an account that wait in one of the states looked at from a time on.
func WakeOfAccount(ctx context.Context, db bun.IDB, accountID string, at, now time.Time, states ...events.State) error {
	_, err := db.NewUpdate().Model((*Post)(nil)).Set("wake_at = ?", at).Set("armed_at = NULL").
		Where("account_id = ? AND state IN (?)", accountID, bun.List(states)).
		Where("wake_at > ?", now).Exec(ctx)
	if err != nil {
		return fmt.Errorf("wake the posts of account %s: %w", accountID, err)
	}
	return nil
}

// WakePaused has the posts that wait for their account to be resumed looked at from a time on.
func WakePaused(ctx context.Context, db bun.IDB, accountID string, at, now time.Time) error {
	_, err := db.NewUpdate().Model((*Post)(nil)).Set("wake_at = ?", at).Set("armed_at = NULL").
		Where("account_id = ? AND state IN (?) AND reason->>'code' = ?", accountID,
			bun.List([]events.State{events.StateWaiting, events.StateUnconfirmed}), events.Paused).
		Where("wake_at > ?", now).Exec(ctx)
	if err != nil {
		return fmt.Errorf("wake the posts of account %s: %w", accountID, err)
	}
	return nil
}
