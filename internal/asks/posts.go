package asks

import (
	"time"

	"github.com/omni-write/threads/events"
)

// GetPost asks publisher for one post of a user, by our id or by Threads' media id. Answer: PostDetail.
type GetPost struct {
	UserID string `json:"userId"`
	ID     string `json:"id"`
}

// PostDetail is a post with what was tried for it.
type PostDetail struct {
	events.Post
	Attempts []Attempt `json:"attempts"`
}

// Attempt is one call to Threads on behalf of a post, as its owner may read it.
type Attempt struct {
	At      time.Time `json:"at"`
	Phase   string    `json:"phase"` // create, status, publish, look, permalink, delete
	TookMs  float64   `json:"tookMs"`
	OK      bool      `json:"ok"`
	Message string    `json:"message"` // one sentence
	// Code, Subcode and TraceID are Meta's, where the answer had them.
	Code    int    `json:"code,omitempty"`
	Subcode int    `json:"subcode,omitempty"`
	TraceID string `json:"traceId,omitempty"`
}

// ListPosts asks publisher for a user's posts, in the order of their times. Answer: PostList.
type ListPosts struct {
	UserID    string          `json:"userId"`
	AccountID string          `json:"accountId,omitempty"`
	Status    events.Status   `json:"status,omitempty"`   // empty: all
	Statuses  []events.Status `json:"statuses,omitempty"` // any of these, and of Status
	Kinds     []events.Kind   `json:"kinds,omitempty"`    // empty: all but those imported from Threads
	States    []events.State  `json:"states,omitempty"`   // any of waiting, unconfirmed, parked: what is held up
	Reason    events.Code     `json:"reason,omitempty"`   // the code of the reason
	From      *time.Time      `json:"from,omitempty"`     // scheduledAt at or after
	To        *time.Time      `json:"to,omitempty"`       // scheduledAt before
	Search    string          `json:"search,omitempty"`   // words that the text has, whatever their case
	Newest    bool            `json:"newest,omitempty"`   // the latest first
	Limit     int             `json:"limit,omitempty"`    // 1 to 1000; 0 means 1000
	After     string          `json:"after,omitempty"`    // cursor of the page before
	Counts    bool            `json:"counts,omitempty"`   // count the posts of each status, too
}

// PostList is a page of posts. Next is empty on the last page.
type PostList struct {
	Posts []events.Post `json:"posts"`
	Next  string        `json:"next,omitempty"`
	// Counts is there when it was asked for.
	Counts *PostCounts `json:"counts,omitempty"`
}

// PostCounts says how many posts there are of each status, and how many of those that are queued are held up.
type PostCounts struct {
	Queued      PostCount `json:"QUEUED"`
	Posted      PostCount `json:"POSTED"`
	Failed      PostCount `json:"FAILED"`
	Cancelled   PostCount `json:"CANCELLED"`
	Deleted     PostCount `json:"DELETED"`
	Waiting     PostCount `json:"waiting" doc:"Of those that are QUEUED: postponed, with a reason."`
	Unconfirmed PostCount `json:"unconfirmed" doc:"Of those that are QUEUED: sent, and Threads is being asked whether they are live."`
	Parked      PostCount `json:"parked" doc:"Of those that are QUEUED: they need a person, who looks at the profile and says what became of them."`
}

// PostCount is a number of posts, up to which they are counted.
type PostCount struct {
	Posts int  `json:"posts" doc:"Up to 1000."`
	More  bool `json:"more" doc:"Whether there are more than that."`
}

// Subject is threads.ask.post.get.
func (GetPost) Subject() string { return ask("post", "get") }

// Subject is threads.ask.post.list.
func (ListPosts) Subject() string { return ask("post", "list") }
