package posts

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// attemptsLooked is among how many of the latest calls to Threads are looked for posts that went out: a post has some four, and they
// are found by their key.
const attemptsLooked = 4000

// RecentLateness is how long after their times the latest posts left, in no order. A chain counts by its firstCall.
func RecentLateness(ctx context.Context, db bun.IDB) ([]time.Duration, error) {
	var seconds []float64
	err := db.NewRaw(`SELECT extract(epoch FROM coalesce((
			SELECT min((part->>'calledAt')::timestamptz) FROM jsonb_array_elements(parts) AS part WHERE (part->>'calledAt')::timestamptz >= publish_at
		), called_at) - publish_at)::float8
		FROM posts WHERE state = 'published' AND called_at IS NOT NULL AND id IN (
			SELECT post_id FROM (SELECT post_id, phase FROM post_attempts
				WHERE id > (SELECT coalesce(max(id), 0) FROM post_attempts) - ?0 ORDER BY id DESC LIMIT ?0) AS latest
			WHERE phase = 'publish')`,
		attemptsLooked).Scan(ctx, &seconds)
	if err != nil {
		return nil, fmt.Errorf("measure how late posts left: %w", err)
	}
	late := make([]time.Duration, len(seconds))
	for i, s := range seconds {
		late[i] = time.Duration(s * float64(time.Second))
	}
	return late, nil
}
