package bus

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/wire"
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

// causedBy marks everything that is sent while a message is handled as following from it.
func causedBy(ctx context.Context, m events.Meta) context.Context {
	return context.WithValue(ctx, trailKey{}, trail{correlation: m.Correlation, causation: m.ID, traceParent: m.TraceParent})
}

// encode makes the message: JSON body, CloudEvents attributes as headers. The id is also what JetStream knows a repeat by.
func encode(ctx context.Context, msg events.Message, id string, now time.Time) (*nats.Msg, error) {
	body, err := wire.Encode(msg)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", msg.Type(), err)
	}
	m := &nats.Msg{Subject: msg.Subject(), Data: body, Header: nats.Header{}}
	set := func(key, value string) { m.Header[key] = []string{value} } // not Header.Set: the names stay lower case
	set(jetstream.MsgIDHeader, id)
	set(events.HeaderSpecVersion, "1.0")
	set(events.HeaderID, id)
	set(events.HeaderType, msg.Type())
	set(events.HeaderSource, events.Source)
	set(events.HeaderTime, now.UTC().Format(time.RFC3339Nano))
	set(events.HeaderContentType, "application/json")
	set(events.HeaderDataSchema, events.SchemaOf(msg.Type()))
	if about := events.AboutOf(msg); about != "" {
		set(events.HeaderSubject, about)
	}
	trailOf(ctx).orNewTrace().mark(m.Header)
	return m, nil
}

// mark writes the trail into headers.
func (t trail) mark(h nats.Header) {
	for key, value := range map[string]string{
		events.HeaderCorrelation: t.correlation, events.HeaderCausation: t.causation, events.HeaderTraceParent: t.traceParent,
	} {
		if value != "" {
			h[key] = []string{value}
		}
	}
}

// MetaOf reads the headers. Their case is not trusted: not every client keeps it.
func MetaOf(h nats.Header) events.Meta {
	at, _ := time.Parse(time.RFC3339Nano, header(h, events.HeaderTime))
	return events.Meta{
		ID: header(h, events.HeaderID), Type: header(h, events.HeaderType), Time: at,
		Correlation: header(h, events.HeaderCorrelation), Causation: header(h, events.HeaderCausation),
		TraceParent: validTraceParent(header(h, events.HeaderTraceParent)), OutcomeTo: header(h, events.HeaderOutcomeTo),
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
