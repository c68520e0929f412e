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
}

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
}

// OAuthBegun is where to send the browser, and the secret that its cookie must bring back.
type OAuthBegun struct {
	AuthorizeURL string `json:"authorizeUrl"`
	Cookie       string `json:"cookie"`
}

// FinishOAuth hands auth what came back from Threads. It is worked at most once: a lost answer means to
// authorise again. Answer: Connection.
type FinishOAuth struct {
	State  string `json:"state"`
	Cookie string `json:"cookie"`
	Code   string `json:"code,omitempty"`
	Error  string `json:"error,omitempty"` // Threads' word when the user pressed Cancel
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
