package asks

import (
	"time"

	"github.com/omni-write/threads/events"
)

// GetLimits asks how much of an account's allowances is left, now or at a later time. Answer: Limits.
type GetLimits struct {
	UserID    string    `json:"userId"`
	AccountID string    `json:"accountId,omitempty"`
	At        time.Time `json:"at,omitzero"` // zero: now
}

// Limits is how much of its allowances an account has left at a moment. All of them are of a moving day.
type Limits struct {
	AccountID string    `json:"accountId"`
	At        time.Time `json:"at"`
	// ReadAt is when Threads was asked. Where it could not be, Problem says why, and the figures are ours alone.
	ReadAt  *time.Time    `json:"readAt"`
	Problem *events.Fault `json:"problem,omitempty"`

	Posts            Allowance `json:"posts"`
	Replies          Allowance `json:"replies"`
	Deletes          Allowance `json:"deletes"`
	LocationSearches Allowance `json:"locationSearches"`
	KeywordSearches  Allowance `json:"keywordSearches"`
	ProfileLookups   Allowance `json:"profileLookups"`
}

// Allowance is one of them.
type Allowance struct {
	Total int `json:"total"`
	// Used is what counts at the moment asked for, as far as it is used already: by us, or by another app of the owner.
	Used int `json:"used"`
	// Scheduled is what our queue will have used by then and that still counts.
	Scheduled int `json:"scheduled"`
	Remaining int `json:"remaining"`
	// FreeAt is when the next place comes back, where all are taken and we know.
	FreeAt *time.Time `json:"freeAt,omitempty"`
}

// Subject is threads.ask.limits.get.
func (GetLimits) Subject() string { return ask("limits", "get") }
