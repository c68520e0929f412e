package events

import (
	"strconv"
	"time"
)

// ConnectionStatus says whether an account can be used.
type ConnectionStatus string

// The connection statuses.
const (
	ConnectionActive            ConnectionStatus = "active"
	ConnectionReconnectRequired ConnectionStatus = "reconnect_required"
	ConnectionDisconnected      ConnectionStatus = "disconnected"
)

// Connection is a connected Threads account as its owner may see it: the original's row without the token.
type Connection struct {
	ID                   string     `json:"id"`
	Provider             string     `json:"provider"`
	ProviderUserID       string     `json:"providerUserId"` // Threads user id
	AccessTokenExpiresAt *time.Time `json:"accessTokenExpiresAt"`
	Username             *string    `json:"username"`
	UserID               string     `json:"userId"`
	CreatedAt            time.Time  `json:"createdAt"`
	UpdatedAt            time.Time  `json:"updatedAt"`

	Status    ConnectionStatus `json:"status"`
	Scopes    []string         `json:"scopes"`
	GrantedAt time.Time        `json:"grantedAt"` // when the user last pressed Allow
	// ReconnectBy is set when what the user allowed ends soon and no refresh renews it: Threads does so to private profiles,
	// 90 days after they pressed Allow. From then on nothing works until they press it again.
	ReconnectBy *time.Time `json:"reconnectBy,omitempty"`
	// Unlocks is what the granted scopes allow and what they do not, where the connection itself was asked for.
	Unlocks []Feature `json:"unlocks,omitempty"`
	// PostsKept says of a disconnected account that its queue waits for the next connect. Else it is cancelled.
	PostsKept bool `json:"postsKept,omitempty"`
	// ErasureCode is set when the owner had the account erased: the code to ask with how that goes.
	ErasureCode string `json:"erasureCode,omitempty"`
	// PausedAt is set while those who run the system hold the account's posts back; PauseReason is what they say of it.
	PausedAt    *time.Time `json:"pausedAt,omitempty"`
	PauseReason string     `json:"pauseReason,omitempty"`
	Rev         int64      `json:"rev"`
}

// Feature is something that can be done with an account that has the scopes for it.
type Feature struct {
	Name          string   `json:"name"`
	Unlocked      bool     `json:"unlocked"`
	MissingScopes []string `json:"missingScopes"`
}

// AccountEvent is an event about a connected account.
type AccountEvent interface {
	Event
	Account() Connection
}

type accountEvent struct {
	Connection Connection `json:"connection"`
}

// Account is the connection as it is after the event.
func (e accountEvent) Account() Connection { return e.Connection }

func (e accountEvent) id(fact string) string {
	return messagePrefix + hashed(e.Connection.ID, revision(e.Connection.Rev), fact)
}

func revision(rev int64) string { return strconv.FormatInt(rev, 10) }

// AccountConnected: the user allowed us in, for the first time or again.
type AccountConnected struct{ accountEvent }

// AccountDisconnected: the user took the account away; its token is gone.
type AccountDisconnected struct{ accountEvent }

// AccountReconnectRequired: Threads no longer takes the token. Endangered are the posts that wait for it.
type AccountReconnectRequired struct {
	accountEvent
	Reason     Fault    `json:"reason"`
	Endangered []string `json:"endangered"` // the ids of EndangeredPosts
	Endangerment
}

// AccountReconnectSoon: the connection ends at its ReconnectBy, and only its owner can renew it. It is emitted once a day, from
// ten days before. Endangered are the posts that are due after that.
type AccountReconnectSoon struct {
	accountEvent
	Endangerment
}

// Endangerment is which posts need a connection that does not work, or soon will not: the most urgent, and how many there
// are in all.
type Endangerment struct {
	Posts []EndangeredPost `json:"endangeredPosts,omitempty"`
	Count int              `json:"endangeredCount,omitempty"`
}

// EndangeredPost is a post that waits for its owner to connect the account again.
type EndangeredPost struct {
	ID        string    `json:"id"`
	PublishAt time.Time `json:"publishAt"`
}

// TokenRefreshed: the token lives for another while.
type TokenRefreshed struct{ accountEvent }

// NewAccountConnected makes the event from the row after it.
func NewAccountConnected(c Connection) AccountConnected { return AccountConnected{accountEvent{c}} }

// NewAccountDisconnected makes the event from the row after it.
func NewAccountDisconnected(c Connection) AccountDisconnected {
	return AccountDisconnected{accountEvent{c}}
}

// NewAccountReconnectRequired makes the event from the row after it.
func NewAccountReconnectRequired(c Connection, reason Fault, e Endangerment) AccountReconnectRequired {
	ids := make([]string, len(e.Posts))
	for i, p := range e.Posts {
		ids[i] = p.ID
	}
	return AccountReconnectRequired{accountEvent{c}, reason, ids, e}
}

// NewAccountReconnectSoon makes the event from the row after it.
func NewAccountReconnectSoon(c Connection, e Endangerment) AccountReconnectSoon {
	return AccountReconnectSoon{accountEvent{c}, e}
}

// NewTokenRefreshed makes the event from the row after it.
func NewTokenRefreshed(c Connection) TokenRefreshed { return TokenRefreshed{accountEvent{c}} }

// Type is the wire name.
func (AccountConnected) Type() string { return "account.connected.v1" }

// Type is the wire name.
func (AccountDisconnected) Type() string { return "account.disconnected.v1" }

// Type is the wire name.
func (AccountReconnectRequired) Type() string { return "account.reconnect_required.v1" }

// Type is the wire name.
func (AccountReconnectSoon) Type() string { return "account.reconnect_soon.v1" }

// Type is the wire name.
func (TokenRefreshed) Type() string { return "account.token_refreshed.v1" }

// Subject is threads.evt.account.<account>.connected.
func (e AccountConnected) Subject() string { return accountFact(e.Connection.ID, "connected") }

// Subject is threads.evt.account.<account>.disconnected.
func (e AccountDisconnected) Subject() string { return accountFact(e.Connection.ID, "disconnected") }

// Subject is threads.evt.account.<account>.reconnect_required.
func (e AccountReconnectRequired) Subject() string {
	return accountFact(e.Connection.ID, "reconnect_required")
}

// Subject is threads.evt.account.<account>.reconnect_soon.
func (e AccountReconnectSoon) Subject() string {
	return accountFact(e.Connection.ID, "reconnect_soon")
}

// Subject is threads.evt.account.<account>.token_refreshed.
func (e TokenRefreshed) Subject() string { return accountFact(e.Connection.ID, "token_refreshed") }

// EventID is the same for the same account, rev and fact.
func (e AccountConnected) EventID() string { return e.id("connected") }

// EventID is the same for the same account, rev and fact.
func (e AccountDisconnected) EventID() string { return e.id("disconnected") }

// EventID is the same for the same account, rev and fact.
func (e AccountReconnectRequired) EventID() string { return e.id("reconnect_required") }

// EventID is the same for the same account, rev and fact.
func (e AccountReconnectSoon) EventID() string { return e.id("reconnect_soon") }

// EventID is the same for the same account, rev and fact.
func (e TokenRefreshed) EventID() string { return e.id("token_refreshed") }

// Disconnect asks auth to forget an account's token.
type Disconnect struct {
	UserID    string `json:"userId"`
	AccountID string `json:"accountId,omitempty"` // empty when the user has only one
	// KeepPosts lets the account's queue wait for the next connect. Else it is cancelled.
	KeepPosts bool `json:"keepPosts,omitempty"`
	// Erase asks to forget everything of the account, its posts and its history here, for good.
	Erase bool `json:"erase,omitempty"`
}

// RefreshToken asks tokenkeeper to refresh an account's token now.
type RefreshToken struct {
	UserID    string `json:"userId"`
	AccountID string `json:"accountId,omitempty"` // empty when the user has only one
}

// Type is the wire name.
func (Disconnect) Type() string { return "connection.disconnect.v1" }

// Type is the wire name.
func (RefreshToken) Type() string { return "token.refresh.v1" }

// Subject is threads.cmd.connection.disconnect.
func (Disconnect) Subject() string { return command("connection", "disconnect") }

// Subject is threads.cmd.token.refresh.
func (RefreshToken) Subject() string { return command("token", "refresh") }

// Actor is the user.
func (c Disconnect) Actor() string { return c.UserID }

// Actor is the user.
func (c RefreshToken) Actor() string { return c.UserID }
