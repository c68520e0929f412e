package events

// PostEvent is an event about a post. Every one of them carries the whole post as it is after the event, so a
// reader of EVENTS needs nothing else to rebuild the table.
type PostEvent interface {
	Event
	Snapshot() Post
	Fact() PostFact
}

// PostFact is the last word of a post event's subject and the middle of its type.
type PostFact string

// The facts of a post, in the order in which a life can meet them.
const (
	FactScheduled       PostFact = "scheduled"        // accepted
	FactEdited          PostFact = "edited"           // text, media or time changed
	FactPrepared        PostFact = "prepared"         // its container is ready at Threads
	FactPostponed       PostFact = "postponed"        // waits, with a reason
	FactUnconfirmed     PostFact = "unconfirmed"      // called, outcome not yet known
	FactParked          PostFact = "parked"           // needs a person
	FactPartPublished   PostFact = "part_published"   // one more part of a chain is live, others are to follow
	FactPublished       PostFact = "published"        // live
	FactFailed          PostFact = "failed"           // will not go out; the parts of a chain that are live stay
	FactRetried         PostFact = "retried"          // its owner has it tried once more
	FactCancelled       PostFact = "cancelled"        // taken back by its owner
	FactDeleteRequested PostFact = "delete_requested" // its owner wants it off Threads
	FactDeleteFailed    PostFact = "delete_failed"    // Threads would not delete it; it is still live
	FactDeleted         PostFact = "deleted"          // gone from Threads
	FactImported        PostFact = "imported"         // made elsewhere, and taken over
	FactUpdated         PostFact = "updated"          // of a live one more is known: its permalink came late, or a part of a chain is gone
)

type postEvent struct {
	Post Post `json:"post"`
}

func (e postEvent) Snapshot() Post { return e.Post }

func (e postEvent) id(fact PostFact) string {
	return messagePrefix + hashed(e.Post.ID, revision(e.Post.Rev), string(fact))
}

func (e postEvent) subject(fact PostFact) string {
	return postFact(e.Post.AccountID, e.Post.ID, string(fact))
}

// The events of a post. PostPublished is emitted at most once for a post; post.postedTweetId, post.permalink,
// post.calledAt and post.latenessMs say where and when.
type (
	PostScheduled       struct{ postEvent }
	PostEdited          struct{ postEvent }
	PostPrepared        struct{ postEvent }
	PostPostponed       struct{ postEvent }
	PostUnconfirmed     struct{ postEvent }
	PostParked          struct{ postEvent }
	PostPartPublished   struct{ postEvent }
	PostPublished       struct{ postEvent }
	PostFailed          struct{ postEvent }
	PostRetried         struct{ postEvent }
	PostCancelled       struct{ postEvent }
	PostDeleteRequested struct{ postEvent }
	PostDeleteFailed    struct{ postEvent }
	PostDeleted         struct{ postEvent }
	PostImported        struct{ postEvent }
	PostUpdated         struct{ postEvent }
)

// Type is the wire name.
func (PostScheduled) Type() string { return "post.scheduled.v1" }

// Fact is scheduled.
func (PostScheduled) Fact() PostFact { return FactScheduled }

// Subject is threads.evt.post.<account>.<post>.scheduled.
func (e PostScheduled) Subject() string { return e.subject(FactScheduled) }

// EventID is the same for the same post, rev and fact.
func (e PostScheduled) EventID() string { return e.id(FactScheduled) }

// Type is the wire name.
func (PostEdited) Type() string { return "post.edited.v1" }

// Fact is edited.
func (PostEdited) Fact() PostFact { return FactEdited }

// Subject is threads.evt.post.<account>.<post>.edited.
func (e PostEdited) Subject() string { return e.subject(FactEdited) }

// EventID is the same for the same post, rev and fact.
func (e PostEdited) EventID() string { return e.id(FactEdited) }

// Type is the wire name.
func (PostPrepared) Type() string { return "post.prepared.v1" }

// Fact is prepared.
func (PostPrepared) Fact() PostFact { return FactPrepared }

// Subject is threads.evt.post.<account>.<post>.prepared.
func (e PostPrepared) Subject() string { return e.subject(FactPrepared) }

// EventID is the same for the same post, rev and fact.
func (e PostPrepared) EventID() string { return e.id(FactPrepared) }

// Type is the wire name.
func (PostPostponed) Type() string { return "post.postponed.v1" }

// Fact is postponed.
func (PostPostponed) Fact() PostFact { return FactPostponed }

// Subject is threads.evt.post.<account>.<post>.postponed.
func (e PostPostponed) Subject() string { return e.subject(FactPostponed) }

// EventID is the same for the same post, rev and fact.
func (e PostPostponed) EventID() string { return e.id(FactPostponed) }

// Type is the wire name.
func (PostUnconfirmed) Type() string { return "post.unconfirmed.v1" }

// Fact is unconfirmed.
func (PostUnconfirmed) Fact() PostFact { return FactUnconfirmed }

// Subject is threads.evt.post.<account>.<post>.unconfirmed.
func (e PostUnconfirmed) Subject() string { return e.subject(FactUnconfirmed) }

// EventID is the same for the same post, rev and fact.
func (e PostUnconfirmed) EventID() string { return e.id(FactUnconfirmed) }

// Type is the wire name.
func (PostParked) Type() string { return "post.parked.v1" }

// Fact is parked.
func (PostParked) Fact() PostFact { return FactParked }

// Subject is threads.evt.post.<account>.<post>.parked.
func (e PostParked) Subject() string { return e.subject(FactParked) }

// EventID is the same for the same post, rev and fact.
func (e PostParked) EventID() string { return e.id(FactParked) }

// Type is the wire name.
func (PostPartPublished) Type() string { return "post.part_published.v1" }

// Fact is part_published.
func (PostPartPublished) Fact() PostFact { return FactPartPublished }

// Subject is threads.evt.post.<account>.<post>.part_published.
func (e PostPartPublished) Subject() string { return e.subject(FactPartPublished) }

// EventID is the same for the same post, rev and fact.
func (e PostPartPublished) EventID() string { return e.id(FactPartPublished) }

// Type is the wire name.
func (PostPublished) Type() string { return "post.published.v1" }

// Fact is published.
func (PostPublished) Fact() PostFact { return FactPublished }

// Subject is threads.evt.post.<account>.<post>.published.
func (e PostPublished) Subject() string { return e.subject(FactPublished) }

// EventID is the same for the same post, rev and fact.
func (e PostPublished) EventID() string { return e.id(FactPublished) }

// Type is the wire name.
func (PostFailed) Type() string { return "post.failed.v1" }

// Fact is failed.
func (PostFailed) Fact() PostFact { return FactFailed }

// Subject is threads.evt.post.<account>.<post>.failed.
func (e PostFailed) Subject() string { return e.subject(FactFailed) }

// EventID is the same for the same post, rev and fact.
func (e PostFailed) EventID() string { return e.id(FactFailed) }

// Type is the wire name.
func (PostRetried) Type() string { return "post.retried.v1" }

// Fact is retried.
func (PostRetried) Fact() PostFact { return FactRetried }

// Subject is threads.evt.post.<account>.<post>.retried.
func (e PostRetried) Subject() string { return e.subject(FactRetried) }

// EventID is the same for the same post, rev and fact.
func (e PostRetried) EventID() string { return e.id(FactRetried) }

// Type is the wire name.
func (PostCancelled) Type() string { return "post.cancelled.v1" }

// Fact is cancelled.
func (PostCancelled) Fact() PostFact { return FactCancelled }

// Subject is threads.evt.post.<account>.<post>.cancelled.
func (e PostCancelled) Subject() string { return e.subject(FactCancelled) }

// EventID is the same for the same post, rev and fact.
func (e PostCancelled) EventID() string { return e.id(FactCancelled) }

// Type is the wire name.
func (PostDeleteRequested) Type() string { return "post.delete_requested.v1" }

// Fact is delete_requested.
func (PostDeleteRequested) Fact() PostFact { return FactDeleteRequested }

// Subject is threads.evt.post.<account>.<post>.delete_requested.
func (e PostDeleteRequested) Subject() string { return e.subject(FactDeleteRequested) }

// EventID is the same for the same post, rev and fact.
func (e PostDeleteRequested) EventID() string { return e.id(FactDeleteRequested) }

// Type is the wire name.
func (PostDeleteFailed) Type() string { return "post.delete_failed.v1" }

// Fact is delete_failed.
func (PostDeleteFailed) Fact() PostFact { return FactDeleteFailed }

// Subject is threads.evt.post.<account>.<post>.delete_failed.
func (e PostDeleteFailed) Subject() string { return e.subject(FactDeleteFailed) }

// EventID is the same for the same post, rev and fact.
func (e PostDeleteFailed) EventID() string { return e.id(FactDeleteFailed) }

// Type is the wire name.
func (PostDeleted) Type() string { return "post.deleted.v1" }

// Fact is deleted.
func (PostDeleted) Fact() PostFact { return FactDeleted }

// Subject is threads.evt.post.<account>.<post>.deleted.
func (e PostDeleted) Subject() string { return e.subject(FactDeleted) }

// EventID is the same for the same post, rev and fact.
func (e PostDeleted) EventID() string { return e.id(FactDeleted) }

// Type is the wire name.
func (PostImported) Type() string { return "post.imported.v1" }

// Fact is imported.
func (PostImported) Fact() PostFact { return FactImported }

// Subject is threads.evt.post.<account>.<post>.imported.
func (e PostImported) Subject() string { return e.subject(FactImported) }

// EventID is the same for the same post, rev and fact.
func (e PostImported) EventID() string { return e.id(FactImported) }

// Type is the wire name.
func (PostUpdated) Type() string { return "post.updated.v1" }

// Fact is updated.
func (PostUpdated) Fact() PostFact { return FactUpdated }

// Subject is threads.evt.post.<account>.<post>.updated.
func (e PostUpdated) Subject() string { return e.subject(FactUpdated) }

// EventID is the same for the same post, rev and fact.
func (e PostUpdated) EventID() string { return e.id(FactUpdated) }

// NewPostEvent makes the event for a fact, with the post as it is after it.
func NewPostEvent(fact PostFact, p Post) PostEvent {
	e := postEvent{Post: p}
	switch fact {
	case FactScheduled:
		return PostScheduled{e}
	case FactEdited:
		return PostEdited{e}
	case FactPrepared:
		return PostPrepared{e}
	case FactPostponed:
		return PostPostponed{e}
	case FactUnconfirmed:
		return PostUnconfirmed{e}
	case FactParked:
		return PostParked{e}
	case FactPartPublished:
		return PostPartPublished{e}
	case FactRetried:
		return PostRetried{e}
	case FactPublished:
		return PostPublished{e}
	case FactFailed:
		return PostFailed{e}
	case FactCancelled:
		return PostCancelled{e}
	case FactDeleteRequested:
		return PostDeleteRequested{e}
	case FactDeleteFailed:
		return PostDeleteFailed{e}
	case FactDeleted:
		return PostDeleted{e}
	case FactImported:
		return PostImported{e}
	case FactUpdated:
		return PostUpdated{e}
	}
	return nil
}
