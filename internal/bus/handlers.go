package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/omni-write/threads/events"
)

// Delivery is what a handler may know about the message in hand.
type Delivery struct {
	Meta       events.Meta
	Subject    string
	Stream     string
	Consumer   string
	Sequence   uint64
	Deliveries uint64    // 1 the first time
	Due        time.Time // of a wake-up: the time that has to be kept; zero where none is known
}

// Handlers says who handles what, for one durable.
type Handlers struct {
	byType map[string]handler
	wakes  []wake
	onDead func(context.Context, Delivery, error)
}

type handler func(ctx context.Context, d Delivery, body []byte) (result any, err error)

type wake struct {
	pattern string
	handle  func(context.Context, Delivery, string) error
}

// NewHandlers begins a table of handlers.
func NewHandlers() *Handlers { return &Handlers{byType: map[string]handler{}} }

// OnCommand handles a command; it is known by the type of its zero value. The result is sent to whoever waits for it.
// The ctx of every handler ends when the process has to stop; who must finish what it began detaches from it.
func OnCommand[C events.Command](h *Handlers, fn func(context.Context, Delivery, C) (any, error)) {
	var zero C
	h.byType[zero.Type()] = func(ctx context.Context, d Delivery, body []byte) (any, error) {
		var c C
		if err := json.Unmarshal(body, &c); err != nil {
			return nil, fmt.Errorf("%w: %w", errUndecodable, err)
		}
		return fn(ctx, d, c)
	}
}

// OnEvent handles an event; it is known by the type of its zero value. Events of ours without a handler are passed over.
func OnEvent[E events.Event](h *Handlers, fn func(context.Context, Delivery, E) error) {
	var zero E
	h.byType[zero.Type()] = func(ctx context.Context, d Delivery, body []byte) (any, error) {
		var e E
		if err := json.Unmarshal(body, &e); err != nil {
			return nil, fmt.Errorf("%w: %w", errUndecodable, err)
		}
		return nil, fn(ctx, d, e)
	}
}

// OnWake handles wake-ups on a subject, in which the last token may be *. A wake-up has no body; its key is the last
// token of its subject.
func (h *Handlers) OnWake(pattern string, fn func(ctx context.Context, d Delivery, key string) error) {
	h.wakes = append(h.wakes, wake{pattern: pattern, handle: fn})
}

// OnDead is called before a message that nobody could handle becomes a dead letter, and again when storing that fails.
func (h *Handlers) OnDead(fn func(ctx context.Context, d Delivery, err error)) { h.onDead = fn }

// Holding has each handler that was added by now hold one of the places while it works. A process may have more messages in hand than
// there are connections for those that take one each.
func (h *Handlers) Holding(places *semaphore.Weighted) {
	for typ, handle := range h.byType {
		h.byType[typ] = func(ctx context.Context, d Delivery, body []byte) (any, error) {
			if err := places.Acquire(ctx, 1); err != nil {
				return nil, fmt.Errorf("wait for a place: %w", err)
			}
			defer places.Release(1)
			return handle(ctx, d, body)
		}
	}
}

// call finds the handler of a message and calls it.
func (h *Handlers) call(ctx context.Context, d Delivery, body []byte) (result any, err error) {
	for _, w := range h.wakes {
		if key, ok := match(w.pattern, d.Subject); ok {
			return nil, w.handle(ctx, d, key)
		}
	}
	if handle, ok := h.byType[d.Meta.Type]; ok {
		return handle(ctx, d, body)
	}
	if d.Stream == events.StreamEvents && known(d.Meta.Type) {
		return nil, nil // an event that is none of this durable's business
	}
	return nil, fmt.Errorf("%w: nothing here handles type %q", errUndecodable, d.Meta.Type)
}

// known says whether a type is one of this version's. What is not may be from a newer one: it becomes a dead letter, to be seen.
func known(typ string) bool { return ourTypes[typ] }

var ourTypes = func() map[string]bool {
	types := map[string]bool{}
	for _, msg := range events.All() {
		types[msg.Type()] = true
	}
	return types
}()

func match(pattern, subject string) (key string, ok bool) {
	key = subject[strings.LastIndexByte(subject, '.')+1:]
	if stem, wild := strings.CutSuffix(pattern, "*"); wild {
		return key, strings.HasPrefix(subject, stem) && stem+key == subject
	}
	return key, pattern == subject
}
