package threads

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// Class says what an error asks of the caller. It follows from the call, Meta's code and subcode (classify.go), hardly
// ever from the HTTP status and never from the wording.
type Class string

const (
	// Transient: nothing changed, or nothing that matters; the same call may be made again later.
	Transient Class = "transient"
	// Ambiguous: the call may have worked. Ask Threads before doing anything else. Hint has the class it would have had.
	Ambiguous Class = "ambiguous"
	// NotReady: the container is not there yet; the same call again in some seconds.
	NotReady Class = "not_ready"
	// Invalid: Threads refuses what it was given, today and tomorrow.
	Invalid Class = "invalid"
	// Permission: the token lacks a scope; the person must grant it.
	Permission Class = "permission"
	// Reauthorize: the token or code is dead; the person must connect again.
	Reauthorize Class = "reauthorize"
	// Quota: an allowance is used up or calls come too fast; wait, RetryAfter if Threads said how long.
	Quota Class = "quota"
	// Blocked: Threads restricts the account; a person must look.
	Blocked Class = "blocked"
	// NotFound: Threads does not know the id, or not for this token. Of a creation it is the post replied to or quoted, which
	// may also be too young to be seen everywhere.
	NotFound Class = "not_found"
)

// Error is the one error of this package. Neither its text nor anything it wraps holds a token, a code or a secret.
type Error struct {
	Op    string
	Class Class
	// Hint is the class an Ambiguous error would have had on a call that is safe to repeat.
	Hint          Class
	Code, Subcode int
	// Name is Meta's THREADS_API__ name, where there was one.
	Name string
	// Reason is a word of ours for what is known beyond the class, such as publishing_limit or app_removed; often empty.
	// It tells more, and decides nothing.
	Reason string
	// TraceID is Meta's fbtrace_id: what its support asks for.
	TraceID    string
	HTTPStatus int
	RetryAfter time.Duration
	// Sentence is for people: calm, ours, without a technical word.
	Sentence string
	// Meta is what Meta said, shortened and scrubbed; for logs and the curious.
	Meta string

	cause error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "threads %s: %s", e.Op, e.Class)
	if e.Code != 0 || e.Subcode != 0 {
		fmt.Fprintf(&b, ": code %d/%d", e.Code, e.Subcode)
	}
	if e.HTTPStatus != 0 {
		fmt.Fprintf(&b, ": http %d", e.HTTPStatus)
	}
	if e.Meta != "" {
		b.WriteString(": " + e.Meta)
	}
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	return b.String()
}

// Unwrap reaches ErrNotSent, the context's errors and the error of Publish's before.
func (e *Error) Unwrap() error { return e.cause }

// ClassOf returns the class of a threads error, and "" for any other.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return ""
}

// IsDeleted says that Threads does not know a post any more, and not that it does not find it just now.
func IsDeleted(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Class == NotFound && e.Code != codeNotVisible
}

// codeNotVisible comes with subcode 4279009 for what Threads does not find just now, live or not (threads-api §9.3).
const codeNotVisible = 24

// refused is the error for a clear answer that says no.
func (c *Client) refused(q call, resp *http.Response, r *refusal) *Error {
	class, hint := classify(q.op, q.refers, r)
	return &Error{
		Op:         q.op,
		Class:      class,
		Hint:       hint,
		Code:       r.code,
		Subcode:    r.subcode,
		Name:       r.name,
		Reason:     reasonOf(r).word,
		TraceID:    shorten(c.scrub(q, r.traceID), 100),
		HTTPStatus: resp.StatusCode,
		RetryAfter: retryAfter(resp.Header, c.cfg.Now()),
		Sentence:   sentence(q.op, class, r),
		Meta:       shorten(c.scrub(q, r.message), 300),
	}
}

// unanswered is the error for a call that may have reached Threads and got no answer that can be understood.
func (c *Client) unanswered(q call, status int, err error) *Error {
	e := &Error{Op: q.op, Class: Transient, HTTPStatus: status, cause: c.scrubError(q, err)}
	if goesLive(q.op) {
		e.Class, e.Hint = Ambiguous, Transient
	}
	e.Sentence = sentence(q.op, e.Class, &refusal{})
	return e
}

// unsent is the error for a call that cannot have had any effect.
func (c *Client) unsent(q call, err error) *Error {
	return &Error{
		Op:       q.op,
		Class:    Transient,
		Sentence: sentence(q.op, Transient, &refusal{}),
		cause:    fmt.Errorf("%w: %w", ErrNotSent, c.scrubError(q, err)),
	}
}

// badID is the error for an id that Threads cannot have given out.
func (c *Client) badID(q call, bad string) *Error {
	return &Error{
		Op:       q.op,
		Class:    Invalid,
		Sentence: sentence(q.op, Invalid, &refusal{}),
		cause:    fmt.Errorf("%w: %.40q is not an id of threads", ErrNotSent, bad),
	}
}

// credential finds what a token or secret looks like wherever Meta quotes one that is not ours to compare with.
var credential = regexp.MustCompile(
	`(?i)\b(access_token|client_secret|input_token|fb_exchange_token|code)=[^&\s"']+|\bTH[A-Za-z]*[|A-Za-z0-9_-]{24,}`)

// scrub removes every secret of the call, plain or escaped, and whatever looks like one.
func (c *Client) scrub(q call, text string) string {
	for _, secret := range append([]string{q.token.Reveal(), c.cfg.AppSecret}, q.secrets...) {
		if secret == "" {
			continue
		}
		text = strings.ReplaceAll(text, secret, redacted)
		text = strings.ReplaceAll(text, url.QueryEscape(secret), redacted)
	}
	return credential.ReplaceAllString(text, redacted)
}

// scrubError drops the URL that net/http puts into its errors, with the query that Meta wants secrets in. An error
// whose text still holds one is replaced by its scrubbed text; only the context's verdict survives that.
func (c *Client) scrubError(q call, err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	text := err.Error()
	clean := c.scrub(q, text)
	if clean == text {
		return err
	}
	for _, verdict := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, verdict) {
			return fmt.Errorf("%s: %w", clean, verdict)
		}
	}
	return errors.New(clean)
}

// shorten cuts at a rune, marks the cut, and keeps control characters out of logs.
func shorten(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}
