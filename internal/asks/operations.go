package asks

import (
	"time"

	"github.com/omni-write/threads/events"
)

// GetOperations asks publisher how the whole system does. It is for those who run it: the answer counts the posts of all users, and
// has no word of any. Answer: Operations.
type GetOperations struct {
	UserID string `json:"userId"` // who asks
}

// Operations is how the whole system does.
type Operations struct {
	MeasuredAt time.Time `json:"measuredAt"`
	// Lateness is of the latest posts that went out.
	Lateness Lateness `json:"lateness"`
	Overdue  Overdue  `json:"overdue" doc:"Posts whose time has passed, and whose owner was told nothing."`
	// Unsettled are the posts that are neither dormant nor final, by state.
	Unsettled []Unsettled `json:"unsettled" doc:"By state: waiting, publishing, unconfirmed, concluding, parked."`
	// DeadLetters are messages that nobody could handle.
	DeadLetters uint64 `json:"deadLetters" doc:"Messages on DEAD: set aside, and waiting for somebody to look."`
	Behind      uint64 `json:"behind" doc:"Events that are not applied to Postgres yet."`
	Skipped     int    `json:"skipped" doc:"Events that could not be applied, and wait for a rebuild."`
	// Consumers are the durables of the services.
	Consumers []ConsumerLag `json:"consumers"`
}

// Lateness says how long after their times the latest posts left.
type Lateness struct {
	Posts   int              `json:"posts" doc:"How many of the latest posts were looked at."`
	Buckets []LatenessBucket `json:"buckets" doc:"From small to large. Each post is in one."`
}

// LatenessBucket is the posts that left within a time, and after that of the bucket before.
type LatenessBucket struct {
	UpToMs float64 `json:"upToMs,omitempty" doc:"In milliseconds. Absent in the last, which has no end."`
	Posts  int     `json:"posts"`
}

// Overdue is how many posts are overdue, and the time of the oldest.
type Overdue struct {
	Posts  int        `json:"posts"`
	Oldest *time.Time `json:"oldest,omitempty"`
}

// Unsettled is how many posts are in a state, and the time of the oldest.
type Unsettled struct {
	State  events.State `json:"state"`
	Posts  int          `json:"posts"`
	Oldest *time.Time   `json:"oldest,omitempty"`
}

// ConsumerLag is how far a durable consumer is behind.
type ConsumerLag struct {
	Stream string `json:"stream"`
	Name   string `json:"name"`
	// Known says whether it could be asked; else there are no figures.
	Known   bool   `json:"known" doc:"Whether it could be asked."`
	Pending uint64 `json:"pending" doc:"Messages that were delivered to nobody yet."`
	Unacked int    `json:"unacked" doc:"Messages in somebody's hand, or put off."`
}

// Subject is threads.ask.post.operations.
func (GetOperations) Subject() string { return ask("post", "operations") }
