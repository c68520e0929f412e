package delivery

import (
	"context"

	"github.com/omni-write/threads/internal/posts"
)

// LookForLive treats the outcome of a post as unknown, which Threads says is live: it is looked for before anything else.
func (d *Delivery) LookForLive(ctx context.Context, p *posts.Post) error {
	return d.doubts.unconfirmed(ctx, p, posts.AbsentRetry, alreadyLive())
}

// RebuildContainer has the container of a post built anew.
func (d *Delivery) RebuildContainer(ctx context.Context, p *posts.Post) error {
	return d.moves.discardContainer(ctx, p)
}

// EmitChange emits the event that led to the post's revision. Emitting it again is the same event.
func (d *Delivery) EmitChange(ctx context.Context, p *posts.Post) error {
	return d.outbox.emitChange(ctx, p)
}
