package delivery

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/posts"
)

// CancelPost takes a post back before it is published. It wins or it says that it lost.
func (o *owners) CancelPost(ctx context.Context, d bus.Delivery, cmd events.CancelPost) (any, error) {
	return o.move(ctx, d, cmd, cmd.UserID, cmd.PostID, cmd.IfRev, stillOpen, func(_ context.Context, _ bun.Tx, old *posts.Post) (*posts.Post, error) {
		return old.Cancel(nil), nil
	})
}
