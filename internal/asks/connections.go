package asks

import "github.com/omni-write/threads/events"

// ListConnections asks auth for a user's accounts, the oldest first. Answer: ConnectionList.
type ListConnections struct {
	UserID string `json:"userId"`
}

// ConnectionList is all of a user's connected accounts.
type ConnectionList struct {
	Connections []events.Connection `json:"connections"`
}

// GetProfile asks auth for the Threads profile behind an account, read from Threads now. Answer: Profile.
type GetProfile struct {
	UserID    string `json:"userId"`
	AccountID string `json:"accountId,omitempty"` // empty when the user has only one
}

// Profile is a Threads profile.
type Profile struct {
	ID                string `json:"id"`
	Username          string `json:"username"`
	Name              string `json:"name,omitempty"`
	Bio               string `json:"bio,omitempty"`
	ProfilePictureURL string `json:"profilePictureUrl,omitempty"`
	IsVerified        bool   `json:"isVerified"`
}

// Subject is threads.ask.connection.list.
func (ListConnections) Subject() string { return ask("connection", "list") }

// Subject is threads.ask.profile.get.
func (GetProfile) Subject() string { return ask("profile", "get") }

// ListAccountIDs asks auth for every account that a user has or had: events of one that was taken away are still its
// owner's. Answer: AccountIDs.
type ListAccountIDs struct {
	UserID string `json:"userId"`
}

// AccountIDs are ids of accounts, the oldest first.
type AccountIDs struct {
	IDs []string `json:"ids"`
}

// Subject is threads.ask.account.ids.
func (ListAccountIDs) Subject() string { return ask("account", "ids") }
