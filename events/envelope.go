package events

import (
	"encoding/json"
	"time"
)

// Message is anything that travels on a stream: a command (do this) or an event (this happened).
type Message interface {
	// Type is the wire name, written by hand: "post.published.v1". Renaming a Go type changes nothing outside.
	Type() string
	// Subject is where the message is published.
	Subject() string
}

// Command asks for something to be done. It is stored on COMMANDS until a service has done it.
type Command interface {
	Message
	// Actor is the user on whose behalf it is done.
	Actor() string
}

// Event is something that has happened. It is stored on EVENTS and never changed.
type Event interface {
	Message
	// EventID is the same whenever the same event is emitted again, so that consumers can drop repeats.
	EventID() string
}

// Source is the CloudEvents source of all our messages.
const Source = "omni-write/threads"

// The headers of a message: CloudEvents 1.0 in binary mode, plus ours. Header names are lower case.
const (
	HeaderSpecVersion = "ce-specversion"
	HeaderID          = "ce-id"
	HeaderType        = "ce-type"
	HeaderSource      = "ce-source"
	HeaderTime        = "ce-time"
	HeaderContentType = "ce-datacontenttype"
	HeaderSubject     = "ce-subject"       // the post or account that it is about
	HeaderDataSchema  = "ce-dataschema"    // where the schema of its body is
	HeaderCorrelation = "ce-correlationid" // the HTTP request that started it all
	HeaderCausation   = "ce-causationid"   // the message that led to this one
	HeaderTraceParent = "traceparent"      // W3C trace context
	HeaderOutcomeTo   = "omni-outcome-to"  // inbox that wants the command's outcome
	HeaderKey         = "omni-key"         // the caller's Idempotency-Key
	HeaderBodyHash    = "omni-body-hash"   // hash of the request body that came with the key
)

// Meta is what the headers say about a message.
type Meta struct {
	ID          string
	Type        string
	Time        time.Time
	Correlation string
	Causation   string
	TraceParent string

	// OutcomeTo, Key and BodyHash are set on commands only.
	OutcomeTo string
	Key       string
	BodyHash  string
}

// Outcome is how a command ended, or that it has not ended yet.
type Outcome struct {
	CommandID string `json:"commandId"`
	// Done is false while the work goes on; then Fault and Result are empty.
	Done  bool   `json:"done"`
	Fault *Fault `json:"fault,omitempty"`
	// Result is what the command made, as JSON: a Post for the commands of posts. Beside a Fault it is the post that was made and
	// then failed; there is none where nothing was made.
	Result json.RawMessage `json:"result,omitempty"`
}
