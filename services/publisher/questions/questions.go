// Package questions answers questions about posts and commands.
package questions

import (
	"context"
	"errors"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// Service answers them.
type Service struct {
	posts      *posts.Store
	ownerCalls *ownercalls.Service
	lateAfter  time.Duration
}

// New makes what answers them. The store's connections are not those of publishing; lateAfter is how late a post is that was held up.
func New(store *posts.Store, ownerCalls *ownercalls.Service, lateAfter time.Duration) *Service {
	return &Service{store, ownerCalls, lateAfter}
}

func (s *Service) sight() posts.Sight { return posts.Sight{Now: time.Now(), LateAfter: s.lateAfter} }

// GetPost answers with one of the user's posts and what was tried for it.
func (s *Service) GetPost(ctx context.Context, q asks.GetPost) (asks.PostDetail, error) {
	p, err := s.posts.Find(ctx, s.posts.DB, q.UserID, q.ID)
	if err != nil {
		return asks.PostDetail{}, err
	}
	tried, err := s.posts.Attempts(ctx, s.posts.DB, p.ID)
	if err != nil {
		return asks.PostDetail{}, err
	}
	return asks.PostDetail{Post: s.sight().Of(p), Attempts: tried}, nil
}

// GetCommand answers how a command of the user ended.
func (s *Service) GetCommand(ctx context.Context, q asks.GetCommand) (events.Outcome, error) {
	o, err := commands.Get(ctx, s.posts.DB, q)
	if errors.Is(err, &events.Fault{Code: events.NotFound}) {
		if waits, err := s.ownerCalls.Waits(ctx, q.UserID, q.ID); err != nil || waits {
			return events.Outcome{CommandID: q.ID}, err
		}
		return commands.Get(ctx, s.posts.DB, q) // it may have ended between the two
	}
	return o, err
}
