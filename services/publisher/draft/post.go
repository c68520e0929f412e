package draft

import (
	"cmp"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
)

// NewPost is a post as it is accepted; its alarm is not set.
func (s *Service) NewPost(id, userID, accountID string, d events.Draft, at time.Time) *posts.Post {
	return posts.New(id, userID, accountID, s.WithDefaults(d), at, s.now(), s.cfg.Timing)
}

// WithDefaults is a draft with what its author left to us.
func (s *Service) WithDefaults(d events.Draft) events.Draft {
	d.PublishWithin = cmp.Or(d.PublishWithin, int(s.cfg.PublishWithin/time.Second))
	return d
}
