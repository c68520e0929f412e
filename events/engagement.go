package events

import "time"

// ImportHistory has the posts that an account made elsewhere taken over, the latest first. Result: HistoryImport.
type ImportHistory struct {
	UserID    string    `json:"userId"`
	AccountID string    `json:"accountId,omitempty"`
	Since     time.Time `json:"since,omitzero"` // zero: as far back as Threads tells
	Replies   bool      `json:"replies,omitempty"`
}

// HideReply hides a reply in a conversation of the account, or shows it again. Result: ReplyState.
type HideReply struct {
	UserID    string `json:"userId"`
	AccountID string `json:"accountId,omitempty"`
	ID        string `json:"id"`
	Hide      bool   `json:"hide"`
}

// ApproveReply lets a reply be seen that waits for approval, or ignores it. Result: ReplyState.
type ApproveReply struct {
	UserID    string `json:"userId"`
	AccountID string `json:"accountId,omitempty"`
	ID        string `json:"id"`
	Approve   bool   `json:"approve"`
}

// Type is the wire name.
func (ImportHistory) Type() string { return "post.import.v1" }

// Type is the wire name.
func (HideReply) Type() string { return "post.hide.v1" }

// Type is the wire name.
func (ApproveReply) Type() string { return "post.approve.v1" }

// Subject is threads.cmd.post.import.
func (ImportHistory) Subject() string { return command("post", "import") }

// Subject is threads.cmd.post.hide.
func (HideReply) Subject() string { return command("post", "hide") }

// Subject is threads.cmd.post.approve.
func (ApproveReply) Subject() string { return command("post", "approve") }

// Actor is the user.
func (c ImportHistory) Actor() string { return c.UserID }

// Actor is the user.
func (c HideReply) Actor() string { return c.UserID }

// Actor is the user.
func (c ApproveReply) Actor() string { return c.UserID }
