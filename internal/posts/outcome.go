package posts

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/batch"
)

// Outcome is a clear yes on its way into the row.
type Outcome struct {
	Old, Next *Post
	Tried     []asks.Attempt
}

// SaveOutcomes writes many clear answers in one statement, each as one conditional update. When one of them breaks the
// rule that a media id is one post's, the batcher splits the batch, so that only that one is refused. An answer whose row
// has moved, or is held by somebody else, is batch.ErrAlone.
func (s *Store) SaveOutcomes(ctx context.Context, items []Outcome) []error {
	type row struct {
		ID         string       `bun:"id"`
		State      events.State `bun:"was_state"`
		Rev        int64        `bun:"was_rev"`
		Attempt    int          `bun:"was_attempt"`
		Lease      string       `bun:"was_lease"`
		MediaID    string       `bun:"media_id"`
		Permalink  string       `bun:"permalink"`
		CalledAt   time.Time    `bun:"called_at,type:timestamptz"`
		AcceptedAt time.Time    `bun:"accepted_at,type:timestamptz"`
		UpdatedAt  time.Time    `bun:"updated_at,type:timestamptz"`
		WakeAt     time.Time    `bun:"wake_at,type:timestamptz"`
	}
	rows := make([]row, len(items))
	var tried []AttemptRow
	for i, n := range items {
		n.Next.Canonicalize()
		tried = append(tried, attemptRows(n.Old.ID, n.Tried)...)
		rows[i] = row{
			n.Old.ID, n.Old.State, n.Old.Rev, n.Old.Attempt, n.Old.Lease, n.Next.MediaID, n.Next.Permalink,
			n.Next.CalledAt, n.Next.AcceptedAt, n.Next.UpdatedAt, n.Next.WakeAt,
		}
	}
	var won []string
	err := updateRows(ctx, s.DB, together{rows: &rows, list: "n", tried: tried, set: func(q *bun.UpdateQuery) *bun.UpdateQuery {
		return q.
			Set("state = 'concluding', fact = ?, reason = NULL, armed_at = NULL", events.FactPublished).
			Set("doubt = false, doubt_since = NULL, on_absent = NULL").
			Set("media_id = n.media_id, permalink = nullif(n.permalink, '')").
			Set("called_at = n.called_at, accepted_at = n.accepted_at, updated_at = n.updated_at, wake_at = n.wake_at").
			Where("post.state = n.was_state AND post.rev = n.was_rev AND post.attempt = n.was_attempt AND post.lease = n.was_lease").
			Returning("post.id")
	}}, &won)
	if err != nil {
		return batch.All(len(items), fmt.Errorf("note answers: %w", err))
	}
	noted := make(map[string]bool, len(won))
	for _, id := range won {
		noted[id] = true
	}
	errs := make([]error, len(items))
	for i, n := range items {
		if !noted[n.Next.ID] {
			errs[i] = batch.ErrAlone
		}
	}
	return errs
}
