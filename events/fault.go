package events

import (
	"fmt"
	"time"
)

// Code says what kind of failure something is. The list is closed: the ack verb, the HTTP status and the log
// level all follow from it. A finer distinction is a [Detail].
type Code string

// The codes, with what a caller should do.
const (
	Invalid        Code = "invalid"         // the input breaks a rule: mend it
	KeyReused      Code = "key_reused"      // another body came under the same Idempotency-Key: use a new key
	NotFound       Code = "not_found"       // there is no such thing among yours
	Conflict       Code = "conflict"        // its state no longer allows this
	Unauthorized   Code = "unauthorized"    // who are you
	MissingScope   Code = "missing_scope"   // the connected account did not grant this: reconnect with the scope
	ReauthRequired Code = "reauth_required" // Threads no longer accepts the account's token: reconnect
	RateLimited    Code = "rate_limited"    // a quota is used up: wait RetryAfter
	Refused        Code = "refused"         // Threads said no for good
	Paused         Code = "paused"          // the account's posts are held back by those who run the system: it goes out once they are resumed
	Missed         Code = "missed"          // its time passed by more than publishWithin
	Unknown        Code = "outcome_unknown" // it may or may not have happened: ask again, do not repeat
	Unavailable    Code = "unavailable"     // a part we need is away: try again
	Internal       Code = "internal"        // our mistake: someone was told
)

// Fault is a failure as others may see it: one calm sentence, a code, where in the input, and what to do.
// It never carries a token, a secret or the offending input. It is an error, so handlers return it.
type Fault struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// Details names the fields at fault, all of them.
	Details []Detail `json:"details,omitempty"`
	// RetryAfter is how long to wait, in whole seconds; 0 where waiting does not help or nobody knows.
	RetryAfter int `json:"retryAfter,omitempty"`
}

// Detail points at one field of the input.
type Detail struct {
	Pointer string `json:"pointer"` // JSON pointer into the body, "/text"
	Code    string `json:"code"`    // machine word: "text_too_long"
	Message string `json:"message"` // one sentence: what is wrong and what to do
}

// Error makes Fault an error.
func (f *Fault) Error() string { return string(f.Code) + ": " + f.Message }

// Is lets errors.Is match a Fault by its code alone.
func (f *Fault) Is(target error) bool {
	t, ok := target.(*Fault)
	return ok && t.Message == "" && t.Code == f.Code
}

// Faultf makes a Fault from a code and a sentence.
func Faultf(code Code, format string, args ...any) *Fault {
	return &Fault{Code: code, Message: fmt.Sprintf(format, args...)}
}

// At adds a detail that points at a field.
func (f *Fault) At(pointer, code, message string) *Fault {
	f.Details = append(f.Details, Detail{Pointer: pointer, Code: code, Message: message})
	return f
}

// After sets RetryAfter, rounded up to a whole second.
func (f *Fault) After(d time.Duration) *Fault {
	f.RetryAfter = int((d + time.Second - 1) / time.Second)
	return f
}
