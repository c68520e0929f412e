package delivery

import (
	"context"
	"errors"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// reader answers questions about posts and commands. It takes no connection from publishing.
type reader struct {
	aside      *posts.Store
	ownerCalls *ownercalls.Service
}

// GetPost answers with one of the user's posts and what was tried for it.
func (r *reader) GetPost(ctx context.Context, q events.GetPost) (events.PostDetail, error) {
	p, err := r.aside.Find(ctx, r.aside.DB, q.UserID, q.ID)
	if err != nil {
		return events.PostDetail{}, err
	}
	tried, err := r.aside.Attempts(ctx, r.aside.DB, p.ID)
	if err != nil {
		return events.PostDetail{}, err
	}
	return events.PostDetail{Post: p.Snapshot(), Attempts: tried}, nil
}

// GetCommand answers how a command of the user ended.
func (r *reader) GetCommand(ctx context.Context, q events.GetCommand) (events.Outcome, error) {
	o, err := commands.Get(ctx, r.aside.DB, q)
	if errors.Is(err, &events.Fault{Code: events.NotFound}) {
		if waits, err := r.ownerCalls.Waits(ctx, q.UserID, q.ID); err != nil || waits {
			return events.Outcome{CommandID: q.ID}, err
		}
	}
	return o, err
}
