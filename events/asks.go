package events

import "time"

// The questions. They go over core request-reply and no stream captures them, so what must never be stored
// (an OAuth code) goes this way. Each names its answer.

// GetPost asks publisher for one post of a user, by our id or by Threads' media id. Answer: PostDetail.
type GetPost struct {
	UserID string `json:"userId"`
	ID     string `json:"id"`
}

// PostDetail is a post with what was tried for it.
type PostDetail struct {
	Post
	Attempts []Attempt `json:"attempts"`
}

// Attempt is one call to Threads on behalf of a post, as its owner may read it.
type Attempt struct {
	At      time.Time `json:"at"`
	Phase   string    `json:"phase"` // create, status, publish, look, permalink, delete
	TookMs  float64   `json:"tookMs"`
	OK      bool      `json:"ok"`
	Message string    `json:"message"` // one sentence
	// Code, Subcode and TraceID are Meta's, where the answer had them.
	Code    int    `json:"code,omitempty"`
	Subcode int    `json:"subcode,omitempty"`
	TraceID string `json:"traceId,omitempty"`
}

// ListPosts asks publisher for a user's posts, in the order of their times. Answer: PostList.
type ListPosts struct {
	UserID    string     `json:"userId"`
	AccountID string     `json:"accountId,omitempty"`
	Status    Status     `json:"status,omitempty"`   // empty: all
	Statuses  []Status   `json:"statuses,omitempty"` // any of these, and of Status
	Kinds     []Kind     `json:"kinds,omitempty"`    // empty: all but those imported from Threads
	From      *time.Time `json:"from,omitempty"`     // scheduledAt at or after
	To        *time.Time `json:"to,omitempty"`       // scheduledAt before
	Search    string     `json:"search,omitempty"`   // words that the text has, whatever their case
	Newest    bool       `json:"newest,omitempty"`   // the latest first
	Limit     int        `json:"limit,omitempty"`    // 1 to 1000; 0 means 1000
	After     string     `json:"after,omitempty"`    // cursor of the page before
}

// PostList is a page of posts. Next is empty on the last page.
type PostList struct {
	Posts []Post `json:"posts"`
	Next  string `json:"next,omitempty"`
}

// GetCommand asks publisher how a command ended. Answer: Outcome.
type GetCommand struct {
	UserID string `json:"userId"`
	ID     string `json:"id"`
	// Key and BodyHash, when given, also find out that the key was used for another request.
	Key      string `json:"key,omitempty"`
	BodyHash string `json:"bodyHash,omitempty"`
}

// ListConnections asks auth for a user's accounts, the oldest first. Answer: ConnectionList.
type ListConnections struct {
	UserID string `json:"userId"`
}

// ConnectionList is all of a user's connected accounts.
type ConnectionList struct {
	Connections []Connection `json:"connections"`
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

// BeginOAuth asks auth to open the OAuth flow for the user, or for the one whom the ticket stands for.
// Answer: OAuthBegun.
type BeginOAuth struct {
	UserID string `json:"userId,omitempty"`
	Ticket string `json:"ticket,omitempty"`
	// AccountID names an account of the user's that is to be connected again; then no other Threads user will do.
	AccountID string `json:"accountId,omitempty"`
	// Confirmed says that the gateway ends the flow with ConfirmOAuth. Gateways of the release before do not say it, and
	// end theirs with FinishOAuth.
	Confirmed bool `json:"confirmed,omitempty"`
	// Page allows the flow to end at the gateway's own page, in the browser that began it, where the person is asked. It is
	// for flows that a page of our frontend began in this browser.
	Page bool `json:"page,omitempty"`
	// SignedInAs is how the person knows the sign-in of UserID; a ticket knows it by itself.
	SignedInAs string `json:"signedInAs,omitempty"`
}

// OAuthBegun is where to send the browser, and the secret that its cookie must bring back.
type OAuthBegun struct {
	AuthorizeURL string `json:"authorizeUrl"`
	Cookie       string `json:"cookie"`
}

// FinishOAuth hands auth what came back from Threads, and connects the account at once. Gateways of the release before ask
// it, of flows that they began themselves; it goes with the release after this one. It is worked at most once: a lost
// answer means to authorise again. Answer: Connection.
type FinishOAuth struct {
	State  string `json:"state"`
	Cookie string `json:"cookie"`
	Code   string `json:"code,omitempty"`
	Error  string `json:"error,omitempty"` // Threads' word when the user pressed Cancel
}

// ReturnOAuth hands auth what came back from Threads. Nothing is connected yet: the person who began has to confirm it. It
// is worked at most once: a lost answer means to authorise again. Answer: OAuthReturned.
type ReturnOAuth struct {
	State  string `json:"state"`
	Cookie string `json:"cookie"`
	Code   string `json:"code,omitempty"`
	Error  string `json:"error,omitempty"` // Threads' word when the user pressed Cancel
}

// OAuthReturned is a grant that waits to be confirmed.
type OAuthReturned struct {
	// Code is good once, until it expires, for the user who began.
	Code      string `json:"code"`
	ExpiresIn int    `json:"expiresIn"` // seconds
	// Page says that the gateway's own page may ask the person.
	Page bool `json:"page,omitempty"`
	// UserID and SignedInAs are who began, and how they know their sign-in; Username is whom Threads authorised us for.
	UserID     string `json:"userId"`
	SignedInAs string `json:"signedInAs"`
	Username   string `json:"username"`
}

// ConfirmOAuth ends the flow: the granted account is connected to the user who began. Who confirms is known by UserID, of a
// bearer token, or, at the gateway's own page, by the cookie of the browser that began. Answer: Connection.
type ConfirmOAuth struct {
	Code   string `json:"code"`
	UserID string `json:"userId,omitempty"`
	Cookie string `json:"cookie,omitempty"`
	// Decline ends it without connecting anything. Then the answer is empty.
	Decline bool `json:"decline,omitempty"`
}

// Subject is threads.ask.post.get.
func (GetPost) Subject() string { return ask("post", "get") }

// Subject is threads.ask.post.list.
func (ListPosts) Subject() string { return ask("post", "list") }

// Subject is threads.ask.command.get.
func (GetCommand) Subject() string { return ask("command", "get") }

// Subject is threads.ask.connection.list.
func (ListConnections) Subject() string { return ask("connection", "list") }

// Subject is threads.ask.profile.get.
func (GetProfile) Subject() string { return ask("profile", "get") }

// Subject is threads.ask.ticket.issue.
func (IssueTicket) Subject() string { return ask("ticket", "issue") }

// Subject is threads.ask.oauth.begin.
func (BeginOAuth) Subject() string { return ask("oauth", "begin") }

// Subject is threads.ask.oauth.finish.
func (FinishOAuth) Subject() string { return ask("oauth", "finish") }

// Subject is threads.ask.oauth.return.
func (ReturnOAuth) Subject() string { return ask("oauth", "return") }

// Subject is threads.ask.oauth.confirm.
func (ConfirmOAuth) Subject() string { return ask("oauth", "confirm") }
