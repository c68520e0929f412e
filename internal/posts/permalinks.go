package posts

import (
	"context"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/pg"
)

// PermalinkLooks is how often a permalink is looked for after the post was told: the pauses grow fourfold from twice
// PermalinkWait, which makes most of a day.
const PermalinkLooks = 7

// NextPermalinkLook is when a missing permalink is looked for after so many looks; zero: no more.
func (t Timing) NextPermalinkLook(now time.Time, looks int) time.Time {
	if looks >= PermalinkLooks {
		return time.Time{}
	}
	return now.Add(2 * t.PermalinkWait << (2 * looks))
}

// WithoutPermalink are the media ids of what is live of a post, and where the permalink belongs that is not known yet.
func WithoutPermalink(p *Post) map[string]*string {
	wanted := map[string]*string{}
	switch {
	case p.Kind == events.KindImported || !p.DeletedAt.IsZero():
	case !p.IsChain():
		if p.MediaID != "" && p.Permalink == "" {
			wanted[p.MediaID] = &p.Permalink
		}
	default:
		for i := range p.Parts {
			if part := &p.Parts[i]; part.MediaID != "" && part.Permalink == "" && part.DeletedAt == nil {
				wanted[part.MediaID] = &part.Permalink
			}
		}
	}
	return wanted
}

func setPermalinks(p *Post, links map[string]string) (found bool) {
	p.Parts = slices.Clone(p.Parts) // was has the same array
	for id, where := range WithoutPermalink(p) {
		*where = links[id]
		found = found || *where != ""
	}
	if p.IsChain() {
		p.Permalink = p.Parts[0].Permalink
	}
	return found
}

// SaveEnded writes what has become known of a post that has ended.
func (s *Store) SaveEnded(ctx context.Context, db bun.IDB, was, p *Post) error {
	p.Canonicalize()
	q := db.NewUpdate().Model(p).
		Column("permalink", "parts", "rev", "told_rev", "fact", "updated_at", "wake_at", "armed_at", "reason", "failures", "lease").
		Set("lease_until = NULL").Where("id = ? AND state = ? AND rev = ?", was.ID, was.State, was.Rev)
	if was.Lease != "" {
		q = q.Where("lease = ?", was.Lease)
	}
	return Changed(q.Exec(ctx))
}

// SnoozeEnded says when a post that has ended is looked at again, if at all, after a look in vain.
func (s *Store) SnoozeEnded(ctx context.Context, was *Post, until time.Time) error {
	q := s.DB.NewUpdate().Model((*Post)(nil)).Set("failures = failures + 1").Set("armed_at = NULL").
		Where("id = ? AND state = ? AND rev = ? AND wake_at = ?", was.ID, was.State, was.Rev, was.WakeAt)
	if until.IsZero() {
		q = q.Set("wake_at = NULL")
	} else {
		q = q.Set("wake_at = ?", until)
	}
	return Changed(q.Exec(ctx))
}

// SavePermalinks writes the permalinks of posts that are about to be told as published: a crash in between must not have the
// same event told with another one. That the disk is not waited for is well: an event that was told stands.
// A row that has moved, or that somebody else holds, is batch.ErrAlone.
func (s *Store) SavePermalinks(ctx context.Context, items []*Post) []error {
	type row struct {
		ID        string        `bun:"id"`
		Rev       int64         `bun:"rev"`
		Permalink string        `bun:"permalink"`
		Parts     []events.Part `bun:"parts,type:jsonb"`
	}
	rows, ids := make([]row, len(items)), make([]string, len(items))
	for i, p := range items {
		p.Canonicalize()
		rows[i], ids[i] = row{p.ID, p.Rev, p.Permalink, p.Parts}, p.ID
	}
	var saved []string
	err := pg.InTx(ctx, s.DB, func(ctx context.Context, tx bun.Tx) error {
		saved = nil
		if _, err := tx.ExecContext(ctx, "SET LOCAL synchronous_commit = off"); err != nil {
			return err
		}
		return tx.NewUpdate().With("l", tx.NewValues(&rows)).With("free", LockFree(tx, ids)).Model((*Post)(nil)).TableExpr("l, free").
			Set("permalink = nullif(l.permalink, ''), parts = l.parts").
			Where("post.id = free.id AND post.id = l.id AND post.rev = l.rev AND post.state = 'concluding'").
			Returning("post.id").Scan(ctx, &saved)
	})
	errs := batch.All(len(items), err)
	for i, p := range items {
		if err == nil && !slices.Contains(saved, p.ID) {
			errs[i] = batch.ErrAlone
		}
	}
	return errs
}

// SavePermalink is SavePermalinks for one, which waits for whoever holds the row.
func (s *Store) SavePermalink(ctx context.Context, db bun.IDB, p *Post) error {
	return Changed(db.NewUpdate().Model(p).Column("permalink", "parts").
		Where("id = ? AND rev = ? AND state = ?", p.ID, p.Rev, events.StateConcluding).Exec(ctx))
}
