package asks

import "time"

// ListReplies asks for what was said below a post, which is named by our id or Threads' media id. Answer: ThreadsPage.
type ListReplies struct {
	UserID    string `json:"userId"`
	AccountID string `json:"accountId,omitempty"`
	ID        string `json:"id"`
	// Conversation asks for replies of every depth; else the direct ones. Pending asks for those that wait for approval,
	// and Status narrows them to pending or ignored.
	Conversation bool   `json:"conversation,omitempty"`
	Pending      bool   `json:"pending,omitempty"`
	Status       string `json:"status,omitempty"`
	OldestFirst  bool   `json:"oldestFirst,omitempty"`
	Limit        int    `json:"limit,omitempty"` // 1 to 100; 0 means 25
	After        string `json:"after,omitempty"`
}

// ListMentions asks for the public posts of others that name the account. Answer: ThreadsPage.
type ListMentions struct {
	UserID    string    `json:"userId"`
	AccountID string    `json:"accountId,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Until     time.Time `json:"until,omitzero"`
	Limit     int       `json:"limit,omitempty"`
	After     string    `json:"after,omitempty"`
}

// ReplyState is what became of a reply: one of the two is set.
type ReplyState struct {
	AccountID string `json:"accountId"`
	MediaID   string `json:"mediaId"`
	Hidden    *bool  `json:"hidden,omitempty"`
	Approved  *bool  `json:"approved,omitempty"`
}

// Subject is threads.ask.reply.list.
func (ListReplies) Subject() string { return ask("reply", "list") }

// Subject is threads.ask.mention.list.
func (ListMentions) Subject() string { return ask("mention", "list") }
