package publisher

import (
	"context"
	"errors"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
)

// asksThreads bounds the questions for which Threads, or a host of media, is asked while the asker waits. Each holds little
// here but its place, and for long.
var asksThreads = bus.Bounds{AtOnce: 64, PerUser: 4, Waiting: 28}

// answer registers the questions that the publisher answers.
func (s *Service) answer() error {
	return errors.Join(
		bus.Answer(s.bus, s.GetPost),
		bus.Answer(s.bus, s.ListPosts),
		bus.Answer(s.bus, s.GetCommand),
		bus.Answer(s.bus, s.drafts.ValidatePost, asksThreads),
		bus.Answer(s.bus, s.engagement.GetLimits, asksThreads),
		bus.Answer(s.bus, s.engagement.GetAccountInsights, asksThreads),
		bus.Answer(s.bus, s.engagement.GetPostInsights, asksThreads),
		bus.Answer(s.bus, s.engagement.ListReplies, asksThreads),
		bus.Answer(s.bus, s.engagement.ListMentions, asksThreads),
		bus.Answer(s.bus, s.engagement.SearchPosts, asksThreads),
		bus.Answer(s.bus, s.engagement.LookUpProfile, asksThreads),
		bus.Answer(s.bus, s.engagement.ListProfilePosts, asksThreads),
		bus.Answer(s.bus, s.engagement.FindLocations, asksThreads),
		bus.Answer(s.bus, s.engagement.GetHistoryImport),
	)
}

// GetPost answers with one of the user's posts and what was tried for it.
func (s *Service) GetPost(ctx context.Context, q events.GetPost) (events.PostDetail, error) {
	p, err := s.side().Find(ctx, s.side().DB, q.UserID, q.ID)
	if err != nil {
		return events.PostDetail{}, err
	}
	tried, err := s.side().Attempts(ctx, s.side().DB, p.ID)
	if err != nil {
		return events.PostDetail{}, err
	}
	return events.PostDetail{Post: p.Snapshot(), Attempts: tried}, nil
}

// GetCommand answers how a command of the user ended.
func (s *Service) GetCommand(ctx context.Context, q events.GetCommand) (events.Outcome, error) {
	o, err := commands.Get(ctx, s.side().DB, q)
	if errors.Is(err, &events.Fault{Code: events.NotFound}) {
		if waits, err := s.ownerCalls.Waits(ctx, q.UserID, q.ID); err != nil || waits {
			return events.Outcome{CommandID: q.ID}, err
		}
	}
	return o, err
}
