package posts

import (
	"context"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
)

// PermalinkLooks is how often a permalink is looked for after the post was emitted as published: the pauses grow fourfold from twice
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

// SavePermalink writes the permalink of a post whose PostPublished could not be emitted: it carries this one later.
func (s *Store) SavePermalink(ctx context.Context, p *Post) error {
	p.Canonicalize()
	return Changed(s.DB.NewUpdate().Model(p).Column("permalink", "parts").
		Where("id = ? AND rev = ? AND state = ?", p.ID, p.Rev, events.StateConcluding).Exec(ctx))
}
