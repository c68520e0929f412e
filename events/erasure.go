package events

import "time"

// AccountErased: an account and all that was known of it is being erased, here and now. It is told once, at the beginning;
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

// ReceiveUninstall hands auth, who holds the app's secret, what Meta sent when a person removed the app: the form as it
// came. Answer: Uninstalled.
type ReceiveUninstall struct {
	Body []byte `json:"body"`
}

// Uninstalled says how many accounts were disconnected; a repeat disconnects none.
type Uninstalled struct {
	Accounts int `json:"accounts"`
}

// ReceiveDataDeletion hands auth what Meta sent when a person asked for the deletion of their data. Answer: Erasure.
type ReceiveDataDeletion struct {
	Body []byte `json:"body"`
}

// GetErasure asks auth how an erasure goes, by its code. Whoever has the code may know. Answer: Erasure.
type GetErasure struct {
	Code string `json:"code"`
}

// ErasureStatus says whether an erasure is through.
type ErasureStatus string

// The statuses of an erasure.
const (
	ErasureRunning ErasureStatus = "running"
	ErasureDone    ErasureStatus = "done"
)

// Erasure is how the erasure of what is known of a person goes.
type Erasure struct {
	Code        string        `json:"code"`
	Status      ErasureStatus `json:"status"`
	RequestedAt time.Time     `json:"requestedAt"`
	FinishedAt  *time.Time    `json:"finishedAt,omitempty"`
}

// erasurePrefix is the kind of the codes by which erasures are asked about.
const erasurePrefix = "era_"

// ErasureCode writes a hash of at least 128 bits as the code of an erasure.
func ErasureCode(hash []byte) string { return erasurePrefix + encode([16]byte(hash[:16])) }

// IsErasureCode tells whether code has the form of an erasure's.
func IsErasureCode(code string) bool { return hasForm(code, erasurePrefix) }

// Subject is threads.ask.account.uninstall.
func (ReceiveUninstall) Subject() string { return ask("account", "uninstall") }

// Subject is threads.ask.account.erase.
func (ReceiveDataDeletion) Subject() string { return ask("account", "erase") }

// Subject is threads.ask.account.erasure.
func (GetErasure) Subject() string { return ask("account", "erasure") }
