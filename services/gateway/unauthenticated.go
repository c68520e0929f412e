package gateway

import "github.com/omni-write/threads/events"

// Why somebody is not signed in: what a frontend can do differs, and nothing finer is told.
const (
	tokenMissing   = "token_missing"
	tokenExpired   = "token_expired"
	tokenInvalid   = "token_invalid"
	sessionPending = "session_pending"
)

var notSignedInWords = map[string]string{
	tokenMissing:   "Send a bearer token in the Authorization header.",
	tokenExpired:   "The sign-in has expired; sign in again.",
	tokenInvalid:   "The bearer token is not accepted here; sign in again.",
	sessionPending: "The sign-in is not finished; finish it and try again.",
}

func notSignedIn(code string) *events.Fault {
	sentence := notSignedInWords[code]
	return events.Faultf(events.Unauthorized, "%s", sentence).At("/Authorization", code, sentence)
}
