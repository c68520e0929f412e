package publisher

import (
	"errors"

	"github.com/omni-write/threads/internal/bus"
)

// answerAccounts opens the publisher to questions about an account at Threads: threads.ask.limits.get,
// threads.ask.insights.*, threads.ask.reply.list, threads.ask.mention.list, threads.ask.search.*, threads.ask.history.get.
func (s *Service) answerAccounts() error {
	return errors.Join(
		bus.Answer(s.bus, s.GetLimits),
		bus.Answer(s.bus, s.GetAccountInsights),
		bus.Answer(s.bus, s.GetPostInsights),
		bus.Answer(s.bus, s.ListReplies),
		bus.Answer(s.bus, s.ListMentions),
		bus.Answer(s.bus, s.SearchPosts),
		bus.Answer(s.bus, s.LookUpProfile),
		bus.Answer(s.bus, s.ListProfilePosts),
		bus.Answer(s.bus, s.FindLocations),
		bus.Answer(s.bus, s.GetHistoryImport),
	)
}
