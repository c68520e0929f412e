package events

import "time"

// AccountErased: an account and all that was known of it is being erased, here and now. It is emitted once, at the beginning;
// whoever keeps anything of the account or its posts should forget it. It is the one fact of the account that stays, and it
// names nothing that Threads told us.
type AccountErased struct {
	UserID    string    `json:"userId"`
	AccountID string    `json:"accountId"`
	At        time.Time `json:"at"`
}

const factErased = "erased"

// Type is the wire name.
func (AccountErased) Type() string { return "account.erased.v1" }

// Subject is threads.evt.account.<account>.erased.
func (e AccountErased) Subject() string { return accountFact(e.AccountID, factErased) }

// EventID is the same for the same account: it is erased once.
func (e AccountErased) EventID() string { return messagePrefix + hashed(e.AccountID, factErased) }
