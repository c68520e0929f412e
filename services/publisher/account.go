package publisher

import (
	"errors"

	"github.com/omni-write/threads/internal/bus"
)

// answerAccounts opens the publisher to questions about an account at Threads: threads.ask.limits.get,
// threads.ask.insights.*, threads.ask.reply.list, threads.ask.mention.list, threads.ask.search.*, threads.ask.history.get.
func (s *Service) answerAccounts() error {
	return errors.Join(
		bus.Answer(s.bus, s.GetLimits, asksThreads),
		bus.Answer(s.bus, s.GetAccountInsights, asksThreads),
		bus.Answer(s.bus, s.GetPostInsights, asksThreads),
		bus.Answer(s.bus, s.ListReplies, asksThreads),
		bus.Answer(s.bus, s.ListMentions, asksThreads),
		bus.Answer(s.bus, s.SearchPosts, asksThreads),
		bus.Answer(s.bus, s.LookUpProfile, asksThreads),
		bus.Answer(s.bus, s.ListProfilePosts, asksThreads),
		bus.Answer(s.bus, s.FindLocations, asksThreads),
		bus.Answer(s.bus, s.GetHistoryImport),
	)
}
