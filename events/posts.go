package events

import (
	"encoding/json"
	"time"
)

// State is where a post is in its life. docs/post-lifecycle.md has the picture.
type State string

// The states. See internal/posts/post.go for the legal moves.
const (
	StateScheduled   State = "scheduled"   // accepted; waiting for its preparation time
	StateReady       State = "ready"       // container built and FINISHED
	StateWaiting     State = "waiting"     // postponed, with a reason and a time
	StatePublishing  State = "publishing"  // claimed; the publish call may be in flight
	StateUnconfirmed State = "unconfirmed" // call made, outcome unknown; Threads is being asked
	StateConcluding  State = "concluding"  // the answer is saved and being emitted
	StateParked      State = "parked"      // no machine can find out; a person must
	StatePublished   State = "published"
	StateFailed      State = "failed"
	StateCancelled   State = "cancelled"
)

// Status is a post's state in the original's words.
type Status string

// The statuses.
const (
	StatusQueued    Status = "QUEUED"
	StatusPosted    Status = "POSTED"
	StatusFailed    Status = "FAILED"
	StatusCancelled Status = "CANCELLED"
	StatusDeleted   Status = "DELETED"
)

// Provider is the only provider of this system, in the original's spelling.
const Provider = "THREADS"

// Kind of a post.
type Kind string

// The kinds. An imported post was made elsewhere; we have a row for it because we were asked to act on it.
const (
	KindPost     Kind = "post"
	KindRepost   Kind = "repost"
	KindImported Kind = "imported"
)

// Media is one picture or video of a post.
type Media struct {
	Type    MediaType `json:"type"`
	URL     string    `json:"url"`
	AltText string    `json:"altText,omitempty"`
}

// MediaType of a post's media.
type MediaType string

// The media types.
const (
	Image MediaType = "image"
	Video MediaType = "video"
)

// Part is one post of a chain, with what has become of it. The parts go out one after the other, each as the reply to
// the one before; those that are live stay live when a later one fails.
type Part struct {
	Text  string  `json:"text"`
	Media []Media `json:"media,omitempty"`
	// MediaID is Threads' id; empty while the part is not live. The times are as in Post.
	MediaID    string     `json:"mediaId,omitempty"`
	Permalink  string     `json:"permalink,omitempty"`
	CalledAt   *time.Time `json:"calledAt,omitempty"`
	AcceptedAt *time.Time `json:"acceptedAt,omitempty"`
	DeletedAt  *time.Time `json:"deletedAt,omitempty"`
}

// Options are what a post can have besides its words and media. In a chain they are the first part's.
type Options struct {
	// ReplyControl is who may reply: everyone, accounts_you_follow, mentioned_only, parent_post_author_only,
	// followers_only.
	ReplyControl   string `json:"replyControl,omitempty"`
	TopicTag       string `json:"topicTag,omitempty"`
	LinkAttachment string `json:"linkAttachment,omitempty"`
	// Poll has two to four answers; the text is the question.
	Poll           []string        `json:"poll,omitempty"`
	GIF            *GIF            `json:"gif,omitempty"`
	TextAttachment *TextAttachment `json:"textAttachment,omitempty"`
	// Spoilers are hidden until tapped: stretches of the text, or the media.
	Spoilers     []TextRange `json:"spoilers,omitempty"`
	SpoilerMedia bool        `json:"spoilerMedia,omitempty"`
	// Ghost posts vanish after 24 hours.
	Ghost          bool `json:"ghost,omitempty"`
	ReplyApprovals bool `json:"replyApprovals,omitempty"`
	// Location is the id of a place at Threads.
	Location string `json:"location,omitempty"`
	// Countries are the ISO 3166-1 alpha-2 codes of those who may see the post; none means everyone.
	Countries []string `json:"countries,omitempty"`
}

// GIF is a moving picture of a provider.
type GIF struct {
	ID       string `json:"id"`
	Provider string `json:"provider"` // GIPHY
}

// TextAttachment is a long text that comes with a post.
type TextAttachment struct {
	Plaintext string        `json:"plaintext"`
	Link      string        `json:"link,omitempty"`
	Styles    []StyledRange `json:"styles,omitempty"`
}

// TextRange is a stretch of a text, in Unicode code points.
type TextRange struct {
	Offset int `json:"offset"`
	Length int `json:"length"`
}

// StyledRange gives a stretch of a text attachment its looks: bold, italic, highlight, underline, strikethrough.
type StyledRange struct {
	TextRange
	Styles []string `json:"styles"`
}

// Post is a post as others may see it. The first ten fields are the original's row, name for name.
type Post struct {
	ID            string    `json:"id"`
	UserID        string    `json:"userId"`
	Provider      string    `json:"provider"`
	Text          string    `json:"text"`
	ScheduledAt   time.Time `json:"scheduledAt"`
	Status        Status    `json:"status"`
	PostedTweetID *string   `json:"postedTweetId"` // Threads media id
	ErrorMessage  *string   `json:"errorMessage"`
	CreatedAt     time.Time `json:"createdAt"`
	UpdatedAt     time.Time `json:"updatedAt"`

	MediaURL  *string `json:"mediaUrl"`
	AccountID string  `json:"accountId"`
	Kind      Kind    `json:"kind"`
	Media     []Media `json:"media"`
	Options
	Zoned
	// LocalTime is ScheduledAt on the clocks of TimeZone, RFC 3339 with its offset.
	LocalTime string `json:"localTime,omitempty"`
	// Parts are those of a chain; a post of one part has none. The text and media above are the first part's.
	Parts []Part `json:"parts,omitempty"`
	// ReplyTo, QuotePostID and RepostOf are our id of a post or Threads' media id.
	ReplyTo     string `json:"replyTo,omitempty"`
	QuotePostID string `json:"quotePostId,omitempty"`
	RepostOf    string `json:"repostOf,omitempty"`
	State       State  `json:"state"`
	// Rev counts the emitted changes of the post; an event carries the rev that it leads to.
	Rev int64 `json:"rev"`
	// Reason says why a post waits, failed, is unconfirmed or parked.
	Reason *Fault `json:"reason"`
	// PublishWithin is how late, in seconds, the post may still go out.
	PublishWithin int     `json:"publishWithin"`
	Permalink     *string `json:"permalink"`
	// CalledAt is when the publish call left, AcceptedAt when Threads' answer (or the proof that it is live) came. Of a chain it
	// is the first part's that was called at or after ScheduledAt: one that is tried again for another time has it anew.
	CalledAt          *time.Time `json:"calledAt"`
	AcceptedAt        *time.Time `json:"acceptedAt"`
	LatenessMs        *float64   `json:"latenessMs"` // CalledAt − ScheduledAt, in milliseconds
	DeleteRequestedAt *time.Time `json:"deleteRequestedAt"`
	DeletedAt         *time.Time `json:"deletedAt"`
	// Warnings are what its author should know of a post that is queued: it breaks no rule, and Threads may refuse it all the same.
	Warnings []Detail `json:"warnings,omitempty"`
}

// Zoned is the zone in which a time was asked for.
type Zoned struct {
	TimeZone string `json:"timeZone,omitempty"` // IANA: Europe/Berlin
	// TimeDecision is what was decided where the zone's clocks change: first_of_two or second_of_two for an hour that comes
	// twice, moved_forward for one that does not come; empty when there was nothing to decide.
	TimeDecision TimeDecision `json:"timeDecision,omitempty"`
}

// TimeDecision is what became of a local time that names two moments, or none.
type TimeDecision string

// The decisions.
const (
	FirstOfTwo   TimeDecision = "first_of_two"
	SecondOfTwo  TimeDecision = "second_of_two"
	MovedForward TimeDecision = "moved_forward"
)

// Draft is what a user asks to be posted.
type Draft struct {
	// AccountID names the connected account; empty when the user has only one.
	AccountID string  `json:"accountId,omitempty"`
	Text      string  `json:"text"`
	Media     []Media `json:"media,omitempty"`
	Options
	Zoned
	// Parts, two or more, make a chain; then text and media above are empty.
	Parts []DraftPart `json:"parts,omitempty"`
	// ReplyTo and QuotePostID are our id of a post, which is waited for, or Threads' media id. RepostOf makes a repost,
	// which has nothing of its own.
	ReplyTo     string `json:"replyTo,omitempty"`
	QuotePostID string `json:"quotePostId,omitempty"`
	RepostOf    string `json:"repostOf,omitempty"`
	// PublishWithin is how late, in seconds, the post may still go out; 0 takes the service's default.
	PublishWithin int `json:"publishWithin,omitempty"`
}

// DraftPart is one part of a chain.
type DraftPart struct {
	Text  string  `json:"text"`
	Media []Media `json:"media,omitempty"`
}

// SchedulePost asks for a post at a time.
type SchedulePost struct {
	PostID    string    `json:"postId"`
	UserID    string    `json:"userId"`
	Draft     Draft     `json:"draft"`
	PublishAt time.Time `json:"publishAt"`
}

// PublishPost asks for a post now. Its outcome is known when Threads has answered.
type PublishPost struct {
	PostID    string    `json:"postId"`
	UserID    string    `json:"userId"`
	Draft     Draft     `json:"draft"`
	PublishAt time.Time `json:"publishAt"` // when the user asked
}

// EditPost changes a post that is not yet being published. Nil fields stay as they are.
type EditPost struct {
	PostID string   `json:"postId"`
	UserID string   `json:"userId"`
	IfRev  int64    `json:"ifRev,omitempty"` // 0: whatever the rev
	Text   *string  `json:"text,omitempty"`
	Media  *[]Media `json:"media,omitempty"`
	// Parts replaces the parts of a chain.
	Parts []DraftPart `json:"parts,omitempty"`
	// Change has what else changes: publishWithin and the fields of Options, each by its name and as a whole. Null takes it
	// away (RFC 7396, one level deep).
	Change    map[string]json.RawMessage `json:"change,omitempty"`
	PublishAt *time.Time                 `json:"publishAt,omitempty"`
	// Zoned goes with PublishAt; no TimeZone keeps the post's.
	Zoned
}

// CancelPost takes a post back before it is published.
type CancelPost struct {
	PostID string `json:"postId"`
	UserID string `json:"userId"`
	IfRev  int64  `json:"ifRev,omitempty"` // 0: whatever the rev
}

// DeletePost removes a published post from Threads. ID is ours or Threads' media id.
type DeletePost struct {
	ID     string `json:"id"`
	UserID string `json:"userId"`
}

// RetryPost tries a failed post once more. A chain goes on at the part that failed.
type RetryPost struct {
	PostID    string    `json:"postId"`
	UserID    string    `json:"userId"`
	IfRev     int64     `json:"ifRev,omitempty"` // 0: whatever the rev
	PublishAt time.Time `json:"publishAt"`
	// Zoned is of PublishAt; no TimeZone keeps the post's.
	Zoned
}

// ResolvePost is a person's word about a parked post: it is live under MediaID, or it is not live.
type ResolvePost struct {
	PostID    string `json:"postId"`
	UserID    string `json:"userId"`
	IfRev     int64  `json:"ifRev,omitempty"` // 0: whatever the rev
	Published bool   `json:"published"`
	MediaID   string `json:"mediaId,omitempty"` // Threads' id, when published
}

// Type is the wire name.
func (SchedulePost) Type() string { return "post.schedule.v1" }

// Type is the wire name.
func (PublishPost) Type() string { return "post.publish.v1" }

// Type is the wire name.
func (EditPost) Type() string { return "post.edit.v1" }

// Type is the wire name.
func (CancelPost) Type() string { return "post.cancel.v1" }

// Type is the wire name.
func (DeletePost) Type() string { return "post.delete.v1" }

// Subject is threads.cmd.post.schedule.
func (SchedulePost) Subject() string { return command("post", "schedule") }

// Subject is threads.cmd.post.publish.
func (PublishPost) Subject() string { return command("post", "publish") }

// Subject is threads.cmd.post.edit.
func (EditPost) Subject() string { return command("post", "edit") }

// Subject is threads.cmd.post.cancel.
func (CancelPost) Subject() string { return command("post", "cancel") }

// Subject is threads.cmd.post.delete.
func (DeletePost) Subject() string { return command("post", "delete") }

// Actor is the user.
func (c SchedulePost) Actor() string { return c.UserID }

// Actor is the user.
func (c PublishPost) Actor() string { return c.UserID }

// Actor is the user.
func (c EditPost) Actor() string { return c.UserID }

// Actor is the user.
func (c CancelPost) Actor() string { return c.UserID }

// Actor is the user.
func (c DeletePost) Actor() string { return c.UserID }

// Type is the wire name.
func (RetryPost) Type() string { return "post.retry.v1" }

// Type is the wire name.
func (ResolvePost) Type() string { return "post.resolve.v1" }

// Subject is threads.cmd.post.retry.
func (RetryPost) Subject() string { return command("post", "retry") }

// Subject is threads.cmd.post.resolve.
func (ResolvePost) Subject() string { return command("post", "resolve") }

// Actor is the user.
func (c RetryPost) Actor() string { return c.UserID }

// Actor is the user.
func (c ResolvePost) Actor() string { return c.UserID }
