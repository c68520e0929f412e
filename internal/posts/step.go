package posts

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/pg"
)

// Step is one move of a worker, with what was tried in it.
type Step struct {
	Old, Next *Post
	Tried     []asks.Attempt
}

// stepRow is what a plain step may change of a row, beside what the row must still be.
type stepRow struct {
	ID      string       `bun:"id"`
	State   events.State `bun:"was_state"`
	Rev     int64        `bun:"was_rev"`
	Attempt int          `bun:"was_attempt"`
	Lease   string       `bun:"was_lease"`

	NextState      events.State    `bun:"state"`
	NextRev        int64           `bun:"rev"`
	Fact           events.PostFact `bun:"fact"`
	Reason         *events.Fault   `bun:"reason,type:jsonb,nullzero"`
	UpdatedAt      time.Time       `bun:"updated_at"`
	WakeAt         time.Time       `bun:"wake_at,nullzero"`
	ArmedAt        time.Time       `bun:"armed_at,nullzero"`
	Keep           bool            `bun:"keep"` // the lease
	ParentID       string          `bun:"parent_id,nullzero"`
	QuotedID       string          `bun:"quoted_id,nullzero"`
	ContainerID    string          `bun:"container_id,nullzero"`
	ContainerAt    time.Time       `bun:"container_at,nullzero"`
	Children       []string        `bun:"children,array"`
	BuiltFrom      string          `bun:"built_from,nullzero"`
	NotReady       int             `bun:"not_ready"`
	Rebuilds       int             `bun:"rebuilds"`
	FinishedSeenAt time.Time       `bun:"finished_seen_at,nullzero"`
	Failures       int             `bun:"failures"`
}

// Plain says that a step changes nothing but how far the preparation of a post has come: no doubt, no quota and nothing that
// was asked for is touched, and no lease is taken.
func (s Step) Plain() bool {
	old, next := s.Old, s.Next
	if old.Doubt || next.Doubt || next.Answered || next.Lease != "" && next.Lease != old.Lease || freed(old, next) != nil || !mayMove(old.State, next.State) {
		return false
	}
	next.Canonicalize()
	same := *next
	same.State, same.Rev, same.Fact, same.Reason = old.State, old.Rev, old.Fact, old.Reason
	same.UpdatedAt, same.WakeAt, same.ArmedAt = old.UpdatedAt, old.WakeAt, old.ArmedAt
	same.Lease, same.LeaseUntil, same.LeasedAt = old.Lease, old.LeaseUntil, old.LeasedAt
	same.ParentID, same.QuotedID = old.ParentID, old.QuotedID
	same.ContainerID, same.ContainerAt, same.Children, same.BuiltFrom = old.ContainerID, old.ContainerAt, old.Children, old.BuiltFrom
	same.NotReady, same.Rebuilds, same.FinishedSeenAt, same.Failures = old.NotReady, old.Rebuilds, old.FinishedSeenAt, old.Failures
	before := *old
	same.Canonicalize()
	before.Canonicalize()
	return reflect.DeepEqual(same, before)
}

// SaveSteps writes many plain steps in one statement. One whose row has moved, or is held by somebody else, is batch.ErrAlone.
func (s *Store) SaveSteps(ctx context.Context, items []Step) []error {
	errs := make([]error, len(items))
	var rows []stepRow
	var tried []AttemptRow
	at := make(map[string]int, len(items))
	for i, n := range items {
		errs[i] = batch.ErrAlone
		old, p := n.Old, n.Next
		if _, twice := at[old.ID]; twice { // two workers move one post: the second must see what the first wrote
			continue
		}
		at[old.ID] = i
		tried = append(tried, attemptRows(old.ID, n.Tried)...)
		rows = append(rows, stepRow{
			old.ID, old.State, old.Rev, old.Attempt, old.Lease,
			p.State, p.Rev, p.Fact, p.Reason, p.UpdatedAt, p.WakeAt, p.ArmedAt, p.Lease != "", p.ParentID, p.QuotedID,
			p.ContainerID, p.ContainerAt, p.Children, p.BuiltFrom, p.NotReady, p.Rebuilds, p.FinishedSeenAt, p.Failures,
		})
	}
	var won []string
	err := updateRows(ctx, s.DB, together{rows: &rows, list: "n", tried: tried, set: func(q *bun.UpdateQuery) *bun.UpdateQuery {
		return q.
			Set("state = n.state, rev = n.rev, fact = n.fact, reason = n.reason, updated_at = n.updated_at, wake_at = n.wake_at, armed_at = n.armed_at").
			Set("lease = CASE WHEN n.keep THEN post.lease END, lease_until = CASE WHEN n.keep THEN post.lease_until END").
			Set("parent_id = n.parent_id, quoted_id = n.quoted_id, container_id = n.container_id, container_at = n.container_at").
			Set("children = n.children, built_from = n.built_from, not_ready = n.not_ready, rebuilds = n.rebuilds").
			Set("finished_seen_at = n.finished_seen_at, failures = n.failures").
			Where("post.state = n.was_state AND post.rev = n.was_rev AND post.attempt = n.was_attempt").
			Where("(n.was_lease = '' OR post.lease = n.was_lease) AND NOT post.doubt").
			Returning("post.id")
	}}, &won)
	if err != nil {
		return batch.All(len(items), fmt.Errorf("move posts: %w", err))
	}
	for _, id := range won {
		errs[at[id]] = nil
	}
	return errs
}

// SaveStep saves one step together with what was tried in it.
func (s *Store) SaveStep(ctx context.Context, was, p *Post, tried ...asks.Attempt) error {
	if len(tried) == 0 {
		return s.Save(ctx, s.DB, was, p)
	}
	return pg.InTx(ctx, s.DB, func(ctx context.Context, tx bun.Tx) error {
		if err := s.Save(ctx, tx, was, p); err != nil {
			return err
		}
		return s.AddAttempts(ctx, tx, p.ID, tried...)
	})
}
