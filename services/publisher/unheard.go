package publisher

import (
	"context"
	"errors"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
)

// errUnheard says that a claim was made, and its worker did not hear of it.
var errUnheard = errors.New("the claim was not heard of")

// unheardAgain is the pause before a claim of which nothing was heard is looked at.
const unheardAgain = 100 * time.Millisecond

// unclaim takes back a claim of which nothing was heard: no call followed it.
func (s *Service) unclaim(ctx context.Context, before, p *posts.Post) error {
	tried := events.Attempt{At: s.now(), Phase: "publish", Message: "Stopped before the call was made."}
	err := s.unsent(ctx, before, p, errUnheard, tried)
	if err != nil && !errors.Is(err, posts.ErrLost) {
		s.store.Unacknowledged.Add(p.Lease, before)
		return err
	}
	return nil
}
