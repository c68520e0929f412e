package asks

import (
	"time"

	"github.com/omni-write/threads/events"
)

// GetHistoryImport asks how the last import of an account's history stands. Answer: HistoryImport.
type GetHistoryImport struct {
	UserID    string `json:"userId"`
	AccountID string `json:"accountId,omitempty"`
}

// HistoryImport is how an import of an account's history stands, or how the last one ended.
type HistoryImport struct {
	AccountID string `json:"accountId"`
	CommandID string `json:"commandId,omitempty"`
	Status    string `json:"status"` // none, running, done, failed
	// Listed is how many posts Threads listed: Imported are new here, Known were here, HeldBack could be posts of ours
	// whose outcome is not known yet; the next import looks at them again.
	Listed     int           `json:"listed"`
	Imported   int           `json:"imported"`
	Known      int           `json:"known"`
	HeldBack   int           `json:"heldBack"`
	Oldest     *time.Time    `json:"oldest,omitempty"`
	Fault      *events.Fault `json:"fault,omitempty"`
	StartedAt  *time.Time    `json:"startedAt,omitempty"`
	UpdatedAt  *time.Time    `json:"updatedAt,omitempty"`
	FinishedAt *time.Time    `json:"finishedAt,omitempty"`
}

// Subject is threads.ask.history.get.
func (GetHistoryImport) Subject() string { return ask("history", "get") }
