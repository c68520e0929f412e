package walkthrough

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
)

// watch follows EVENTS from now on: it prints each event and lets the walkthrough wait for one.
type watch struct {
	printer *printer
	consume jetstream.ConsumeContext

	mu   sync.Mutex
	seen map[string]events.PostEvent // by post id and fact
	news chan struct{}               // closed and replaced at each event
}

func watchEvents(ctx context.Context, js jetstream.JetStream, p *printer) (*watch, error) {
	consumer, err := js.OrderedConsumer(ctx, events.StreamEvents, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy})
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", events.StreamEvents, err)
	}
	w := &watch{printer: p, seen: map[string]events.PostEvent{}, news: make(chan struct{})}
	if w.consume, err = consumer.Consume(w.take); err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", events.StreamEvents, err)
	}
	return w, nil
}

func (w *watch) stop() { w.consume.Stop() }

func (w *watch) take(m jetstream.Msg) {
	msg, err := events.Decode(m.Headers().Get(events.HeaderType), m.Data())
	if errors.Is(err, events.ErrUnknownType) {
		return
	}
	switch ev := msg.(type) {
	case events.AccountConnected:
		name := ""
		if ev.Connection.Username != nil {
			name = *ev.Connection.Username
		}
		w.printer.line("AccountConnected", "@%s is %s, with %d scopes", name, ev.Connection.ID, len(ev.Connection.Scopes))
	case events.PostPublished:
		w.printer.line("PostPublished", "%-46s %+.1f ms late  %s", quoted(ev.Post), deref(ev.Post.LatenessMs), deref(ev.Post.Permalink))
	case events.PostFailed:
		w.printer.line("PostFailed", "%-46s %s", quoted(ev.Post), deref(ev.Post.ErrorMessage))
	case events.PostEvent:
		w.printer.line(factName(ev.Fact()), "%s", quoted(ev.Snapshot()))
	}
	if ev, ok := msg.(events.PostEvent); ok {
		w.mu.Lock()
		w.seen[ev.Snapshot().ID+" "+string(ev.Fact())] = ev
		close(w.news)
		w.news = make(chan struct{})
		w.mu.Unlock()
	}
}

// await waits for an event of a post.
func (w *watch) await(ctx context.Context, post string, fact events.PostFact) (events.Post, error) {
	for {
		w.mu.Lock()
		ev, ok := w.seen[post+" "+string(fact)]
		news := w.news
		w.mu.Unlock()
		if ok {
			return ev.Snapshot(), nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return events.Post{}, fmt.Errorf("post %s was not told as %s: %w", post, fact, ctx.Err())
		}
	}
}

func quoted(p events.Post) string { return "“" + short(p.Text) + "”" }

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// factName is the Go name of a fact's event, as a subscriber would look for it.
func factName(f events.PostFact) string {
	name, up := "Post", true
	for _, r := range string(f) {
		switch {
		case r == '_':
			up = true
		case up:
			name, up = name+string(r-'a'+'A'), false
		default:
			name += string(r)
		}
	}
	return name
}
