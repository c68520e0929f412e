package events

import "time"

// Heard is what every event has that Threads told us by a webhook. It may be told late, twice or out of order there; here
// each is one event, and Threads' own time says when it happened.
type Heard struct {
	UserID    string `json:"userId"`
	AccountID string `json:"accountId"`
	// MediaID is Threads' id of the post that it is about: the reply, the one that mentions, the one that came or went.
	MediaID string    `json:"mediaId"`
	At      time.Time `json:"at"`
}

// Words is a post of somebody else as a webhook tells of it.
type Words struct {
	Username  string `json:"username"`
	Text      string `json:"text,omitempty"`
	MediaType string `json:"mediaType,omitempty"` // Threads' word: TEXT_POST, IMAGE, …
	Permalink string `json:"permalink,omitempty"`
	// RepliedTo is Threads' id of the post that it replies to, RootID of the one that the conversation began with.
	RepliedTo string `json:"repliedTo,omitempty"`
	RootID    string `json:"rootId,omitempty"`
}

// ReplyReceived: somebody replied in a conversation of the account.
type ReplyReceived struct {
	Heard
	Words
}

// Mentioned: a public post names the account.
type Mentioned struct {
	Heard
	Words
}

// PublishedOnThreads: a post of the account is live, by whatever hand, ours or another's. Threads tells neither its text
// nor its container.
type PublishedOnThreads struct {
	Heard
	MediaType string `json:"mediaType,omitempty"`
	Permalink string `json:"permalink,omitempty"`
}

// DeletedOnThreads: a post of the account is gone from Threads, by whatever hand.
type DeletedOnThreads struct{ Heard }

const (
	factReplyReceived = "reply_received"
	factMentioned     = "mentioned"
	factPublishedOn   = "published_on_threads"
	factDeletedOn     = "deleted_on_threads"
)

func (h Heard) subject(fact string) string { return accountFact(h.AccountID, fact) }

// id is the same whenever Threads tells it again: a post comes once, and goes once.
func (h Heard) id(fact string) string { return messagePrefix + hashed(h.AccountID, h.MediaID, fact) }

// Type is the wire name.
func (ReplyReceived) Type() string { return "account.reply_received.v1" }

// Type is the wire name.
func (Mentioned) Type() string { return "account.mentioned.v1" }

// Type is the wire name.
func (PublishedOnThreads) Type() string { return "account.published_on_threads.v1" }

// Type is the wire name.
func (DeletedOnThreads) Type() string { return "account.deleted_on_threads.v1" }

// Subject is threads.evt.account.<account>.reply_received.
func (e ReplyReceived) Subject() string { return e.subject(factReplyReceived) }

// Subject is threads.evt.account.<account>.mentioned.
func (e Mentioned) Subject() string { return e.subject(factMentioned) }

// Subject is threads.evt.account.<account>.published_on_threads.
func (e PublishedOnThreads) Subject() string { return e.subject(factPublishedOn) }

// Subject is threads.evt.account.<account>.deleted_on_threads.
func (e DeletedOnThreads) Subject() string { return e.subject(factDeletedOn) }

// EventID is the same for the same account, post and fact.
func (e ReplyReceived) EventID() string { return e.id(factReplyReceived) }

// EventID is the same for the same account, post and fact.
func (e Mentioned) EventID() string { return e.id(factMentioned) }

// EventID is the same for the same account, post and fact.
func (e PublishedOnThreads) EventID() string { return e.id(factPublishedOn) }

// EventID is the same for the same account, post and fact.
func (e DeletedOnThreads) EventID() string { return e.id(factDeletedOn) }
