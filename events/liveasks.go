package events

import (
	"strings"
	"time"
)

// RedeemTicket asks auth who a ticket stands for, and uses it up. Answer: TicketHolder.
type RedeemTicket struct {
	Ticket string `json:"ticket"`
}

// TicketHolder is who a ticket stood for. SignedInUntil is when the sign-in ends with which it was got; zero where nobody
// said.
type TicketHolder struct {
	UserID        string    `json:"userId"`
	SignedInUntil time.Time `json:"signedInUntil,omitzero"`
}

// ListAccountIDs asks auth for every account that a user has or had: facts of one that was taken away are still its
// owner's. Answer: AccountIDs.
type ListAccountIDs struct {
	UserID string `json:"userId"`
}

// AccountIDs are ids of accounts, the oldest first.
type AccountIDs struct {
	IDs []string `json:"ids"`
}

// Subject is threads.ask.ticket.redeem.
func (RedeemTicket) Subject() string { return ask("ticket", "redeem") }

// Subject is threads.ask.account.ids.
func (ListAccountIDs) Subject() string { return ask("account", "ids") }

// FactsOf are the subjects of every fact about these accounts and their posts.
func FactsOf(accounts ...string) []string {
	subjects := make([]string, 0, 2*len(accounts))
	for _, account := range accounts {
		subjects = append(subjects, postFact(account, "*", ">"), accountFact(account, ">"))
	}
	return subjects
}

// AccountOf is the account that a fact's subject names; empty where the subject is none of a fact's.
func AccountOf(subject string) string {
	words := strings.Split(subject, ".")
	if len(words) < 5 || words[0] != prefix || words[1] != "evt" {
		return ""
	}
	return words[3]
}

// NameOf is a type's name without its version: post.published of post.published.v1.
func NameOf(typ string) string {
	at := strings.LastIndex(typ, ".v")
	if at < 0 {
		return typ
	}
	return typ[:at]
}

// FactNames are the names of every fact that can be told, in the order of All.
func FactNames() []string {
	var names []string
	for _, msg := range All() {
		if _, ok := msg.(Event); ok {
			names = append(names, NameOf(msg.Type()))
		}
	}
	return names
}
