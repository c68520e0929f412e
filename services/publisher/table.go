package publisher

import (
	"errors"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/publisher/delivery"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// Which message goes to which method.

// commands are done once each. Those that need Threads wait for a place among the calls on behalf of owners. All but new posts, which are
// accepted together, take a connection each.
func (s *Service) commands() *bus.Handlers {
	on := bus.NewHandlers()
	bus.OnCommand(on, s.Delivery.EditPost)
	bus.OnCommand(on, s.Delivery.CancelPost)
	bus.OnCommand(on, s.Delivery.RetryPost)
	ownercalls.On(s.OwnerCalls, on, s.Delivery.DeletePost, s.Delivery.MadeElsewhere)
	ownercalls.On(s.OwnerCalls, on, s.Delivery.ResolvePost, delivery.SaidToBeLive)
	ownercalls.On(s.OwnerCalls, on, s.Engagement.ImportHistory, nil)
	ownercalls.On(s.OwnerCalls, on, s.Engagement.HideReply, nil)
	ownercalls.On(s.OwnerCalls, on, s.Engagement.ApproveReply, nil)
	on.Holding(s.Delivery.Singles)
	bus.OnCommand(on, s.Delivery.SchedulePost)
	bus.OnCommand(on, s.Delivery.PublishPost)
	on.OnDead(s.Delivery.Dead)
	return on
}

// due are wake-ups: of a post, and the tick that keeps the alarms going.
func (s *Service) due() *bus.Handlers {
	on := bus.NewHandlers()
	on.OnWake(events.PostDue("*"), s.Delivery.Wake)
	on.OnWake(events.PostTickDue, s.Delivery.Tick)
	return on
}

// answer registers the questions that the publisher answers.
func (s *Service) answer() error {
	return errors.Join(
		bus.Answer(s.bus, s.Questions.GetPost),
		bus.Answer(s.bus, s.Questions.ListPosts),
		bus.Answer(s.bus, s.Questions.GetCommand),
		bus.Answer(s.bus, s.drafts.ValidatePost, asksThreads),
		bus.Answer(s.bus, s.Engagement.GetLimits, asksThreads),
		bus.Answer(s.bus, s.Engagement.GetAccountInsights, asksThreads),
		bus.Answer(s.bus, s.Engagement.GetPostInsights, asksThreads),
		bus.Answer(s.bus, s.Engagement.ListReplies, asksThreads),
		bus.Answer(s.bus, s.Engagement.ListMentions, asksThreads),
		bus.Answer(s.bus, s.Engagement.SearchPosts, asksThreads),
		bus.Answer(s.bus, s.Engagement.LookUpProfile, asksThreads),
		bus.Answer(s.bus, s.Engagement.ListProfilePosts, asksThreads),
		bus.Answer(s.bus, s.Engagement.FindLocations, asksThreads),
		bus.Answer(s.bus, s.Engagement.GetHistoryImport),
		bus.Answer(s.bus, s.Monitor.GetOperations, looksAtAll),
	)
}

// asksThreads bounds the questions for which Threads, or a host of media, is asked while the asker waits. Each holds little
// here but its place, and for long.
var asksThreads = bus.Bounds{AtOnce: 64, PerUser: 4, Waiting: 28}

// looksAtAll bounds the question for which the whole system is looked through: operators ask it, a few at a time.
var looksAtAll = bus.Bounds{AtOnce: 2, PerUser: 1, Waiting: 4}
