package asks

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

// Subject is threads.ask.oauth.begin.
func (BeginOAuth) Subject() string { return ask("oauth", "begin") }

// Subject is threads.ask.oauth.finish.
func (FinishOAuth) Subject() string { return ask("oauth", "finish") }

// Subject is threads.ask.oauth.return.
func (ReturnOAuth) Subject() string { return ask("oauth", "return") }

// Subject is threads.ask.oauth.confirm.
func (ConfirmOAuth) Subject() string { return ask("oauth", "confirm") }
