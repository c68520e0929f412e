package asks

import (
	"time"
)

// ThreadsPost is a post as Threads shows it: the account's own or somebody else's. What Threads leaves out is left out.
type ThreadsPost struct {
	MediaID string `json:"mediaId"`
	// PostID is our id, where the post is one of the account's rows.
	PostID    string     `json:"postId,omitempty"`
	Permalink string     `json:"permalink,omitempty"`
	Text      string     `json:"text,omitempty"`
	MediaType string     `json:"mediaType,omitempty"` // Threads' word: TEXT_POST, IMAGE, VIDEO, CAROUSEL_ALBUM, …
	Timestamp *time.Time `json:"timestamp,omitempty"`

	Username          string `json:"username,omitempty"`
	IsVerified        bool   `json:"isVerified,omitempty"`
	ProfilePictureURL string `json:"profilePictureUrl,omitempty"`

	IsReply    bool   `json:"isReply,omitempty"`
	ReplyTo    string `json:"replyTo,omitempty"`
	RootID     string `json:"rootId,omitempty"`
	HasReplies bool   `json:"hasReplies,omitempty"`
	QuotedID   string `json:"quotedId,omitempty"`
	RepostedID string `json:"repostedId,omitempty"`
	// Mine says that the account wrote it.
	Mine bool `json:"mine,omitempty"`
	// HideStatus is NOT_HUSHED, UNHUSHED, HIDDEN, COVERED, BLOCKED, RESTRICTED; ApprovalStatus of a reply that waits is
	// pending or ignored.
	HideStatus     string `json:"hideStatus,omitempty"`
	ApprovalStatus string `json:"approvalStatus,omitempty"`
}

// ThreadsPage is a page of posts as Threads lists them. Next is empty on the last page; a page may be short, or empty, and
// yet not be the last.
type ThreadsPage struct {
	Items []ThreadsPost `json:"items"`
	Next  string        `json:"next,omitempty"`
}
