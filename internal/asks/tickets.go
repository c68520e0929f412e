package asks

import "time"

// IssueTicket asks auth for a one-use ticket that stands for the user where a browser cannot send a header.
// Answer: Ticket.
type IssueTicket struct {
	UserID string `json:"userId"`
	// SignedInUntil is when the sign-in ends with which it is asked for. What the ticket opens stays open no longer.
	SignedInUntil time.Time `json:"signedInUntil,omitzero"`
	// Purpose is what the ticket is for, and good for nothing else. Gateways of the release before say nothing: then it is
	// good for either.
	Purpose TicketPurpose `json:"purpose,omitempty"`
	// SignedInAs is how the person knows this sign-in: an email address, or the user's id.
	SignedInAs string `json:"signedInAs,omitempty"`
}

// TicketPurpose is what a ticket is for.
type TicketPurpose string

// The purposes of tickets.
const (
	TicketStream  TicketPurpose = "stream"  // to open a live stream
	TicketConnect TicketPurpose = "connect" // to begin to connect an account
)

// Ticket is good once, until it expires.
type Ticket struct {
	Ticket    string `json:"ticket"`
	ExpiresIn int    `json:"expiresIn"` // seconds
}

// Subject is threads.ask.ticket.issue.
func (IssueTicket) Subject() string { return ask("ticket", "issue") }

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

// Subject is threads.ask.ticket.redeem.
func (RedeemTicket) Subject() string { return ask("ticket", "redeem") }
