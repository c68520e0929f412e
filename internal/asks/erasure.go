package asks

import "time"

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

// Subject is threads.ask.account.uninstall.
func (ReceiveUninstall) Subject() string { return ask("account", "uninstall") }

// Subject is threads.ask.account.erase.
func (ReceiveDataDeletion) Subject() string { return ask("account", "erase") }

// Subject is threads.ask.account.erasure.
func (GetErasure) Subject() string { return ask("account", "erasure") }
