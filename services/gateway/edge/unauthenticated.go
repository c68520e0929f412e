package edge

import "github.com/omni-write/threads/events"

// Why somebody is not signed in: what a frontend can do differs, and nothing finer is told.
const (
	TokenMissing   = "token_missing"
	TokenExpired   = "token_expired"
	TokenInvalid   = "token_invalid"
	SessionPending = "session_pending"
)

var notSignedInWords = map[string]string{
	TokenMissing:   "You are not signed in; sign in first. Programs send a bearer token in the Authorization header.",
	TokenExpired:   "The sign-in has expired; sign in again.",
	TokenInvalid:   "This sign-in is not accepted here; sign in again.",
	SessionPending: "The sign-in is not finished; finish it and try again.",
}

// NotSignedIn is the fault of somebody who must sign in, and why.
func NotSignedIn(code string) *events.Fault {
	sentence := notSignedInWords[code]
	return events.Faultf(events.Unauthorized, "%s", sentence).At("/Authorization", code, sentence)
}
