package draft

import (
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
)

// NewPost is a post as it is accepted; its alarm is not set.
func (s *Service) NewPost(id, userID, accountID string, d events.Draft, at time.Time) *posts.Post {
	now := s.now()
	p := &posts.Post{
		ID: id, UserID: userID, AccountID: accountID, Kind: events.KindPost, Text: d.Text, Media: d.Media,
		Options: d.Options, ReplyTo: d.ReplyTo, QuotePostID: d.QuotePostID, RepostOf: d.RepostOf,
		PublishAt: at, TimeZone: d.TimeZone, TimeDecision: string(d.TimeDecision), PublishWithin: d.PublishWithin,
		Rev: 1, Fact: events.FactScheduled, CreatedAt: now, UpdatedAt: now,
	}
	if d.RepostOf != "" {
		p.Kind = events.KindRepost
	}
	p.SetParts(d.Parts)
	if p.PublishWithin == 0 {
		p.PublishWithin = int(s.cfg.PublishWithin / time.Second)
	}
	p.ContentHash = p.Hash()
	p.Reschedule(s.cfg.Timing)
	return p
}
