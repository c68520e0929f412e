package bus

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
)

type trail struct{ correlation, causation, traceParent string }

type trailKey struct{}

func trailOf(ctx context.Context) trail {
	t, _ := ctx.Value(trailKey{}).(trail)
	return t
}

// WithCorrelation marks everything that is sent in ctx as belonging to one HTTP request.
func WithCorrelation(ctx context.Context, id string) context.Context {
	t := trailOf(ctx)
	t.correlation = id
	return context.WithValue(ctx, trailKey{}, t)
}

// Correlation is the HTTP request that ctx belongs to.
func Correlation(ctx context.Context) string { return trailOf(ctx).correlation }

// WithTraceParent continues a W3C trace that began elsewhere.
func WithTraceParent(ctx context.Context, traceParent string) context.Context {
	t := trailOf(ctx)
	t.traceParent = traceParent
	return context.WithValue(ctx, trailKey{}, t)
}

// causedBy marks everything that is sent while a message is handled as following from it.
func causedBy(ctx context.Context, m events.Meta) context.Context {
	return context.WithValue(ctx, trailKey{}, trail{correlation: m.Correlation, causation: m.ID, traceParent: m.TraceParent})
}

// encode makes the message: JSON body, CloudEvents attributes as headers. The id is also what JetStream knows a repeat by.
func encode(ctx context.Context, msg events.Message, id string, now time.Time) (*nats.Msg, error) {
	body, err := json.Marshal(msg)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", msg.Type(), err)
	}
	m := &nats.Msg{Subject: msg.Subject(), Data: body, Header: nats.Header{}}
	set := func(key, value string) {
		if value != "" {
			m.Header[key] = []string{value} // not Set: the names are lower case on the wire
		}
	}
	t := trailOf(ctx)
	if t.traceParent == "" {
		t.traceParent = newTraceParent()
	}
	set(jetstream.MsgIDHeader, id)
	set(events.HeaderSpecVersion, "1.0")
	set(events.HeaderID, id)
	set(events.HeaderType, msg.Type())
	set(events.HeaderSource, events.Source)
	set(events.HeaderTime, now.UTC().Format(time.RFC3339Nano))
	set(events.HeaderContentType, "application/json")
	set(events.HeaderCorrelation, t.correlation)
	set(events.HeaderCausation, t.causation)
	set(events.HeaderTraceParent, t.traceParent)
	return m, nil
}

// newTraceParent begins a trace: version 00, random trace and parent ids, not sampled.
func newTraceParent() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return "00-" + hex.EncodeToString(b[:16]) + "-" + hex.EncodeToString(b[16:]) + "-00"
}

// metaOf reads the headers. Their case is not trusted: not every client keeps it.
func metaOf(h nats.Header) events.Meta {
	at, _ := time.Parse(time.RFC3339Nano, header(h, events.HeaderTime))
	return events.Meta{
		ID: header(h, events.HeaderID), Type: header(h, events.HeaderType), Time: at,
		Correlation: header(h, events.HeaderCorrelation), Causation: header(h, events.HeaderCausation),
		TraceParent: header(h, events.HeaderTraceParent), OutcomeTo: header(h, events.HeaderOutcomeTo),
		Key: header(h, events.HeaderKey), BodyHash: header(h, events.HeaderBodyHash),
	}
}

func header(h nats.Header, name string) string {
	for key, values := range h {
		if len(values) > 0 && strings.EqualFold(key, name) {
			return values[0]
		}
	}
	return ""
}
