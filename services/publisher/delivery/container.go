package delivery

import (
	"context"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

// firstLook is how long a container is given at least before its status is read for the first time.
const firstLook = 250 * time.Millisecond

// firstLookAfter is the pause before a new container's status is read: what most of its kind take, if there is time for that.
func firstLookAfter(p *posts.Post, now time.Time) time.Duration {
	usual := 3 * time.Second // what texts take at Threads
	_, media := p.Content()
	for _, m := range media {
		if usual = max(usual, 5*time.Second); m.Type == events.Video {
			usual = 15 * time.Second
		}
	}
	return max(min(usual, p.PublishAt.Sub(now)/30), firstLook)
}

// lookAfter is the pause before it is read again: a tenth of the container's age at least, and seldomer while its post is not due
// for long. An account has so many calls a day.
func lookAfter(p *posts.Post, now time.Time) time.Duration {
	age, left := now.Sub(p.ContainerAt), p.PublishAt.Sub(now)
	return max(min(max(age/10, firstLookAfter(p, now)), 15*time.Second), min(age/3, left/10))
}

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
