package delivery

import (
	"context"
	"time"

	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

// firstLook is how long a container is given before its status is read for the first time.
const firstLook = 250 * time.Millisecond

// readStatus asks for a container's status, for no longer than leaves time to ask again before the post is due.
func readStatus(ctx context.Context, api *threads.Client, old *posts.Post, now time.Time, a access, containerID string) (threads.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, readFor(old.PublishAt.Sub(now), old.Failures))
	defer cancel()
	return api.ContainerStatus(ctx, a.token, containerID)
}

// readFor is how long an answer is waited for: half of the time that is left, but at least leastRead, and longer each time
// that was not enough, so that a slow Threads is heard in the end.
func readFor(left time.Duration, failures int) time.Duration {
	return max(left/2, leastRead<<min(max(failures, 0), 5))
}

const leastRead = 3 * time.Second
