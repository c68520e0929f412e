package edge

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/outage"
)

// Table is the one from faults to HTTP: what went wrong → status and title. A fault's own sentence becomes the detail.
var Table = map[events.Code]struct {
	Status int
	Title  string
}{
	events.Invalid:        {http.StatusUnprocessableEntity, "The request breaks a rule"},
	events.KeyReused:      {http.StatusUnprocessableEntity, "The Idempotency-Key was used for another request"},
	events.NotFound:       {http.StatusNotFound, "There is no such thing"},
	events.Conflict:       {http.StatusConflict, "Its state does not allow this"},
	events.Unauthorized:   {http.StatusUnauthorized, "Sign in first"},
	events.MissingScope:   {http.StatusForbidden, "The connected account did not allow this"},
	events.ReauthRequired: {http.StatusConflict, "The account must be connected again"},
	events.RateLimited:    {http.StatusTooManyRequests, "A limit is used up"},
	events.Refused:        {http.StatusUnprocessableEntity, "Threads refused"},
	events.Paused:         {http.StatusConflict, "The account's posts are paused"},
	events.Missed:         {http.StatusConflict, "The time of the post has passed"},
	events.Unknown:        {http.StatusServiceUnavailable, "The outcome is not known yet"},
	events.Unavailable:    {http.StatusServiceUnavailable, "A part of the system is away"},
	events.Internal:       {http.StatusInternalServerError, "Something went wrong on our side"},
}

// Codes of problems that no service has: they are between the client and the gateway.
const (
	codeMethodNotAllowed events.Code = "method_not_allowed"
	CodeNotMeta          events.Code = "not_from_meta"
	CodeNoAccount        events.Code = "no_account"
	codeNoRoute          events.Code = "no_such_route"
	CodeUnreadable       events.Code = "unreadable"
	CodeTooLarge         events.Code = "too_large"
	CodeMediaType        events.Code = "unsupported_media_type"
	CodeTimeout          events.Code = "timeout"
	CodeNotAcceptable    events.Code = "not_acceptable"
	CodeAddressTooLong   events.Code = "address_too_long"
	codeHeadersTooLarge  events.Code = "headers_too_large"
)

// problemType is the prefix of a problem's type; the code follows.
const problemType = "urn:omni-write:threads:problem:"

// Problem is an error as clients get it, application/problem+json (RFC 9457). It never repeats what the client sent.
type Problem struct {
	Type      string      `json:"type" doc:"A URI that names the kind of problem."`
	Title     string      `json:"title" doc:"The kind of problem in words."`
	Status    int         `json:"status" doc:"The HTTP status."`
	Detail    string      `json:"detail" doc:"One sentence: what is wrong here and what to do."`
	Instance  string      `json:"instance,omitempty" doc:"Where to ask how it ended, when that is not known yet."`
	PostID    string      `json:"postId,omitempty" doc:"The post that was made and then failed, where there is one; Location has its address."`
	Code      events.Code `json:"code" doc:"The kind of problem in a machine's word."`
	RequestID string      `json:"requestId,omitempty" doc:"Names this request in our logs; send it along when you ask for help."`
	Errors    []Flaw      `json:"errors,omitempty" doc:"Every field at fault; of more than 100, the first."`

	retryAfter int
	location   string // of the post
}

// Flaw points at one field of the request.
type Flaw struct {
	Pointer string `json:"pointer" doc:"A JSON pointer into the body, or a slash and the name of a parameter."`
	Detail  string `json:"detail" doc:"One sentence: what is wrong and what to do."`
	Code    string `json:"code" doc:"A machine's word for it."`
}

// Error makes Problem an error.
func (p *Problem) Error() string { return string(p.Code) + ": " + p.Detail }

// GetStatus is for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is for huma.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// NewProblem is a problem with its type.
func NewProblem(status int, code events.Code, title, detail string) *Problem {
	return &Problem{
		Type: problemType + string(code), Title: title, Status: status,
		Detail: detail, Code: code,
	}
}

// revMismatch is the detail of a conflict that is with If-Match alone.
const revMismatch = "rev_mismatch"

// noAccount is the detail of what is not found because no account is connected at all. It is a problem of its own: what to do
// is to connect one, not to look for another id.
const noAccount = string(CodeNoAccount)

func has(f *events.Fault, detail string) bool {
	return slices.ContainsFunc(f.Details, func(d events.Detail) bool { return d.Code == detail })
}

// InternalSentence is what a client hears of a mistake of ours.
const InternalSentence = "Something went wrong on our side; it was noted under this request's id."

// FromFault is the problem that a fault is to a client.
func FromFault(f *events.Fault) *Problem {
	row, ok := Table[f.Code]
	if !ok { // from a newer service
		row = Table[events.Internal]
	}
	code := f.Code
	switch {
	case f.Code == events.Conflict && has(f, revMismatch):
		row.Status, row.Title = http.StatusPreconditionFailed, "It has changed since"
	case f.Code == events.NotFound && has(f, noAccount):
		row.Status, row.Title, code = http.StatusConflict, "No account is connected", CodeNoAccount
	}
	p := NewProblem(row.Status, code, row.Title, cmp.Or(f.Message, InternalSentence))
	for _, d := range f.Details {
		p.Errors = append(p.Errors, Flaw{Pointer: d.Pointer, Detail: d.Message, Code: d.Code})
	}
	p.retryAfter = f.RetryAfter
	if p.retryAfter == 0 && p.Status == http.StatusServiceUnavailable {
		p.retryAfter = 2
	}
	return p
}

// FromError is the problem of whatever a handler returned. What is not a fault is our mistake, and its text stays here.
func FromError(err error) *Problem {
	var ready *Problem
	if errors.As(err, &ready) {
		return ready
	}
	var f *events.Fault
	switch {
	case errors.As(err, &f):
	case outage.Is(err):
		return FromFault(events.Faultf(events.Unavailable, "A part of the system is away at the moment; please try again shortly."))
	default:
		return FromFault(events.Faultf(events.Internal, InternalSentence))
	}
	p := FromFault(f)
	var later *UnknownOutcome
	if errors.As(err, &later) {
		p.Instance = later.Instance
	}
	var failed *FailedPost
	if errors.As(err, &failed) {
		p.PostID, p.location = failed.PostID, failed.Location
	}
	return p
}

// headers are what a problem says outside its body.
func (p *Problem) headers(set func(name, value string)) {
	if p.retryAfter > 0 {
		set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		set("WWW-Authenticate", p.challenge())
	}
	if to := cmp.Or(p.Instance, p.location); to != "" {
		set("Location", to)
	}
	set("Cache-Control", "no-store")
}

// challenge is RFC 6750's: what is wrong with the token, where there is one.
func (p *Problem) challenge() string {
	for _, f := range p.Errors {
		switch f.Code {
		case TokenInvalid, TokenExpired, SessionPending:
			return `Bearer error="invalid_token"`
		}
	}
	return "Bearer"
}

// write answers with a problem outside huma.
func (p *Problem) write(w http.ResponseWriter, r *http.Request) {
	p.RequestID = InfoOf(r.Context()).RequestID
	p.headers(w.Header().Set)
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_ = json.NewEncoder(w).Encode(p) // the client is gone: nobody to tell
	}
}

// InstallProblems makes huma answer with our problems. Its hooks are global to the program, so they are set once and hold
// nothing of any gateway.
var InstallProblems = sync.OnceFunc(func() {
	huma.ValidateStrictCasing = true // Text is not text, as it was not for the original
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError { return fromHuma(status, msg, errs) }
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		p := fromHuma(status, msg, errs)
		if p.Code == CodeTooLarge {
			p = tooLarge(ctx.Operation())
		}
		info := InfoOf(ctx.Context())
		if p.Status >= http.StatusInternalServerError {
			info.Err = errors.Join(errs...)
		}
		p.RequestID = info.RequestID
		p.headers(ctx.SetHeader)
		return p
	}
})

// FinishProblem completes a problem that a handler made itself; huma writes such as they are.
func FinishProblem(ctx huma.Context, _ string, body any) (any, error) {
	if p, ok := body.(*Problem); ok && p.RequestID == "" {
		p.RequestID = InfoOf(ctx.Context()).RequestID
		p.headers(ctx.SetHeader)
	}
	return body, nil
}

// fromHuma is the problem of what huma found, or of what a handler returned through it.
func fromHuma(status int, msg string, errs []error) *Problem {
	if msg == "cannot read request body" { // huma's 500; but it was the client who hung up
		status = http.StatusBadRequest
	}
	switch status {
	case http.StatusInternalServerError:
		return FromError(errors.Join(errs...))
	case http.StatusRequestEntityTooLarge:
		return NewProblem(status, CodeTooLarge, "The request is too large", "The body of this request is larger than it may be; send less at once.")
	case http.StatusUnsupportedMediaType:
		return NewProblem(status, CodeMediaType, "The body is not JSON", "Send the body as application/json.")
	case http.StatusRequestTimeout:
		return NewProblem(status, CodeTimeout, "The request took too long", "The body did not arrive in time; please send it again.")
	case http.StatusBadRequest:
		p := NewProblem(status, CodeUnreadable, "The body cannot be read", "The body is missing or is not well-formed JSON; correct it and send it again.")
		p.Errors = FieldErrors(errs)
		return p
	default:
		row := Table[events.Invalid]
		p := NewProblem(cmp.Or(status, row.Status), events.Invalid, row.Title, "Some of what you sent cannot be used as it is; errors says of each field what to change.")
		p.Errors = FieldErrors(errs)
		if len(p.Errors) == 1 {
			p.Detail = p.Errors[0].Detail
		}
		return p
	}
}

// UnknownOutcome is the fault of a command whose outcome will be known at Instance.
type UnknownOutcome struct {
	*events.Fault
	CommandID string
	Instance  string
}

// Unwrap is the fault.
func (u *UnknownOutcome) Unwrap() error { return u.Fault }

// FailedPost is the fault of a post that was made and then failed.
type FailedPost struct {
	*events.Fault
	PostID, Location string
}

// Unwrap is the fault.
func (f *FailedPost) Unwrap() error { return f.Fault }
