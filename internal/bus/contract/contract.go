// Package contract holds messages against what was promised of them: their CloudEvents attributes, their subject, and the
// JSON Schema of their type. Tests of the whole system end with it: every message that was sent kept its promise.
package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/events/schemas"
	"github.com/omni-write/threads/internal/bus"
)

var compiled = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	m := map[string]*jsonschema.Schema{}
	for _, typ := range schemas.Types() {
		text, _ := schemas.Of(typ)
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("read the schema of %s: %w", typ, err)
		}
		if err := c.AddResource(typ, doc); err != nil {
			return nil, fmt.Errorf("read the schema of %s: %w", typ, err)
		}
		if m[typ], err = c.Compile(typ); err != nil {
			return nil, fmt.Errorf("read the schema of %s: %w", typ, err)
		}
	}
	return m, nil
})

// Message says how a message breaks the contract, or nil.
func Message(subject string, h nats.Header, body []byte) error {
	known, err := compiled()
	if err != nil {
		return err
	}
	get := func(name string) string {
		for key, values := range h {
			if len(values) > 0 && strings.EqualFold(key, name) {
				return values[0]
			}
		}
		return ""
	}
	typ := get(events.HeaderType)
	var wrong []error
	must := func(name, want string) {
		if is := get(name); is != want {
			wrong = append(wrong, fmt.Errorf("%s is %q, not %q", name, is, want))
		}
	}
	must(events.HeaderSpecVersion, "1.0")
	must(events.HeaderSource, events.Source)
	must(events.HeaderContentType, "application/json")
	must(events.HeaderDataSchema, events.SchemaOf(typ))
	if get(events.HeaderID) == "" {
		wrong = append(wrong, fmt.Errorf("%s is missing", events.HeaderID))
	}
	must(jetstream.MsgIDHeader, get(events.HeaderID))
	if _, err := time.Parse(time.RFC3339Nano, get(events.HeaderTime)); err != nil {
		wrong = append(wrong, fmt.Errorf("%s is %q, no time", events.HeaderTime, get(events.HeaderTime)))
	}
	schema := known[typ]
	msg, err := events.Decode(typ, body)
	if err != nil || schema == nil {
		return errors.Join(append(wrong, fmt.Errorf("type %q has no schema: %w", typ, errors.Join(err, errUnknown)))...)
	}
	if about := events.AboutOf(msg); about != "" {
		must(events.HeaderSubject, about)
	}
	if msg.Subject() != subject {
		wrong = append(wrong, fmt.Errorf("its body belongs on %s", msg.Subject()))
	}
	if ev, ok := msg.(events.Event); ok && ev.EventID() != get(events.HeaderID) {
		wrong = append(wrong, fmt.Errorf("%s is %s, and the event's own is %s", events.HeaderID, get(events.HeaderID), ev.EventID()))
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = schema.Validate(doc)
	}
	if err != nil {
		wrong = append(wrong, fmt.Errorf("its body breaks the schema: %w", err))
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%s on %s: %w", typ, subject, errors.Join(wrong...))
}

var errUnknown = errors.New("it is not registered, or its schema is not made")

// patience is how long the next message of a stream may take to come; a stream may have any number of them.
const patience = time.Minute

// Stream checks every message that lies on a stream. It returns how many there were, and what is wrong with any of them.
// Commands are gone from their stream once they are done; [Watch] sees them.
func Stream(ctx context.Context, js jetstream.JetStream, name string) (n int, err error) {
	opening, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stream, err := js.Stream(opening, name)
	if err != nil {
		return 0, fmt.Errorf("find stream %s: %w", name, err)
	}
	state := stream.CachedInfo().State
	if state.Msgs == 0 {
		return 0, nil
	}
	consumer, err := stream.OrderedConsumer(opening, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return 0, fmt.Errorf("read stream %s: %w", name, err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return 0, fmt.Errorf("read stream %s: %w", name, err)
	}
	defer messages.Stop()
	var wrong []error
	for {
		m, err := next(ctx, messages)
		if err != nil {
			return n, errors.Join(append(wrong, fmt.Errorf("read stream %s after %d messages: %w", name, n, err))...)
		}
		meta, err := m.Metadata()
		if err != nil {
			return n, fmt.Errorf("read stream %s: %w", name, err)
		}
		n++
		if err := Message(m.Subject(), m.Headers(), m.Data()); err != nil {
			wrong = append(wrong, fmt.Errorf("sequence %d: %w", meta.Sequence.Stream, err))
		}
		if meta.Sequence.Stream >= state.LastSeq || meta.NumPending == 0 {
			return n, errors.Join(wrong...)
		}
	}
}

func next(ctx context.Context, messages jetstream.MessagesContext) (jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return messages.Next(jetstream.NextContext(ctx))
}

// Watch checks every command and event from now on, as it is sent; commands do not stay on their stream. stop returns how
// many there were, and what is wrong with any of them.
func Watch(nc *nats.Conn) (stop func() (n int, err error), err error) {
	var mu sync.Mutex
	var wrong []error
	n := 0
	receive := func(m *nats.Msg) {
		if bus.IsProbe(m.Subject) {
			return
		}
		err := Message(m.Subject, m.Header, m.Data)
		mu.Lock()
		defer mu.Unlock()
		n++
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	var subs []*nats.Subscription
	var closed sync.WaitGroup
	for _, subject := range []string{events.EveryCommand, events.EveryFact} {
		sub, err := nc.Subscribe(subject, receive)
		if err != nil {
			return nil, fmt.Errorf("watch %s: %w", subject, err)
		}
		closed.Add(1)
		sub.SetClosedHandler(func(string) { closed.Done() }) // called after the last message was looked at
		subs = append(subs, sub)
	}
	if err := nc.Flush(); err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	return func() (int, error) {
		for _, sub := range subs {
			if err := sub.Drain(); err != nil {
				return 0, fmt.Errorf("end the watch: %w", err)
			}
		}
		closed.Wait()
		mu.Lock()
		defer mu.Unlock()
		return n, errors.Join(wrong...)
	}, nil
}
