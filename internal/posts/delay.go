package posts

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
)

type Delayed struct {
	Post *Post
	At   time.Time
}

// Delay moves the wake-ups of posts that are as they were read. A row that somebody else holds is not waited for.
func (s *Store) Delay(ctx context.Context, items []Delayed) []error {
	type row struct {
		ID      string       `bun:"id"`
		State   events.State `bun:"was_state"`
		Rev     int64        `bun:"was_rev"`
		Attempt int          `bun:"was_attempt"`
		At      time.Time    `bun:"at,type:timestamptz"`
	}
	rows := make([]row, len(items))
	for i, d := range items {
		rows[i] = row{d.Post.ID, d.Post.State, d.Post.Rev, d.Post.Attempt, d.At.UTC()}
	}
	var put []string
	err := updateRows(ctx, s.DB, together{rows: &rows, list: "d", set: func(q *bun.UpdateQuery) *bun.UpdateQuery {
		return q.Set("wake_at = d.at, armed_at = d.at").
			Where("post.state = d.was_state AND post.rev = d.was_rev AND post.attempt = d.was_attempt").
			Where("post.lease IS NULL OR post.lease_until < now()").
			Returning("post.id")
	}}, &put)
	if err != nil {
		return batch.All(len(items), fmt.Errorf("put posts off: %w", err))
	}
	moved := make(map[string]bool, len(put))
	for _, id := range put {
		moved[id] = true
	}
	errs := make([]error, len(items))
	for i, d := range items {
		if !moved[d.Post.ID] {
			errs[i] = fmt.Errorf("put a post off: %w", ErrLost)
		}
	}
	return errs
}

// SpaceOut moves back the wake-ups of an account's ready posts that were due before late. Who has its time already keeps
// it, and nobody is moved beyond the end of the time within which it may be published.
func (s *Store) SpaceOut(ctx context.Context, db bun.IDB, account string, from, late time.Time, apart time.Duration) error {
	_, err := db.NewRaw(`
		WITH free AS (
			SELECT id FROM posts
			WHERE account_id = ?0 AND state NOT IN ('published', 'failed', 'cancelled') AND publish_at < ?3 AND state = 'ready'
			FOR UPDATE SKIP LOCKED
		), line AS (
			SELECT id, ?1::timestamptz + (row_number() OVER (ORDER BY publish_at, id) - 1) * ?2 * interval '1 millisecond' AS at,
				publish_at + (publish_within + 1) * interval '1 second' AS missed
			FROM posts
			WHERE account_id = ?0 AND state NOT IN ('published', 'failed', 'cancelled') AND publish_at < ?3
				AND state = 'ready' AND parts->0->>'mediaId' IS NULL AND (lease IS NULL OR lease_until < now())
		)
		UPDATE posts SET wake_at = least(line.at, line.missed), armed_at = NULL FROM line JOIN free USING (id)
		WHERE posts.id = line.id AND posts.state = 'ready' AND (posts.lease IS NULL OR posts.lease_until < now())
			AND posts.wake_at < least(line.at, line.missed) - ?2 / 2 * interval '1 millisecond'`,
		account, from, apart.Milliseconds(), late).Exec(ctx)
	if err != nil {
		return fmt.Errorf("space the overdue posts of an account: %w", err)
	}
	return nil
}
