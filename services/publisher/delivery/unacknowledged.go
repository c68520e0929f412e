package delivery

import (
	"context"
	"errors"

	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/posts"
)

// errUnacknowledged says that a claim was made, and its worker did not hear of it.
var errUnacknowledged = errors.New("the claim was not heard of")

// releaseUnacknowledged takes back a claim of which nothing was heard: no call followed it.
func (c *caller) releaseUnacknowledged(ctx context.Context, before, p *posts.Post) error {
	tried := asks.Attempt{At: c.now(), Phase: "publish", Message: "Stopped before the call was made."}
	err := c.releaseClaim(ctx, before, p, errUnacknowledged, tried)
	if err != nil && !errors.Is(err, posts.ErrLost) {
		c.store.Unacknowledged.Add(p.Lease, before)
		return err
	}
	return nil
}
