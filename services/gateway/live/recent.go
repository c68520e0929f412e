package live

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/accounts"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/signin"
)

const (
	// recentUsual is how many events are told to who does not say how many, recentMost the most that may be asked for.
	recentUsual, recentMost = 50, 200
	// recentBack is how far back is looked first, in events of the whole system; then recentTimes as far, until there are enough.
	recentBack, recentTimes = 256, 16
	// recentBytes bounds what an answer carries, and what is held while it is looked for: an event can have half a MiB.
	recentBytes = 4 << 20
	// recentWithin bounds one look back, with the wait for its turn.
	recentWithin = 10 * time.Second
)

// PastEvent is an event that was told before.
type PastEvent struct {
	ID   string          `json:"id" doc:"Its place: the stream goes on after it when it gets this as lastEventId."`
	Name string          `json:"name" doc:"As the stream names it: post.published, account.connected."`
	At   time.Time       `json:"at"`
	Data json.RawMessage `json:"data" doc:"As the stream tells it: the whole post, or connection, after it."`
}

// PastEvents are the latest events, the newest first.
type PastEvents struct {
	Events      []PastEvent `json:"events"`
	LastEventID string      `json:"lastEventId" doc:"Up to where this goes. A stream that is opened with it misses nothing."`
}

type recentInput struct {
	accounts.AccountQuery
	Facts string `query:"facts" doc:"Only these facts, with commas between: published,failed or post.published."`
	Limit int    `query:"limit" minimum:"1" maximum:"200" doc:"1 to 200; usually 50. Fewer come where so many have more than 4 MiB."`

	edge.OnceOnly
}

type recentOutput struct{ Body PastEvents }

// RecentEvents tells the latest of the caller's events, for a page that shows them before it opens a stream.
func (h *Handlers) RecentEvents(ctx context.Context, in *recentInput) (*recentOutput, error) {
	if in.Repeated != "" {
		return nil, in.Refuse()
	}
	l := &Listener{User: signin.UserOf(ctx), Account: in.AccountID}
	var err error
	if l.Names, err = FactNames(in.Facts); err != nil {
		return nil, err
	}
	if in.Limit == 0 {
		in.Limit = recentUsual
	}
	mine, err := h.accountsOf(ctx, l)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, recentWithin)
	defer cancel()
	past, err := h.Streams.recent(ctx, l, mine, in.Limit)
	if err != nil {
		return nil, err
	}
	return &recentOutput{Body: past}, nil
}

// recent looks back, further and further, until there are enough events. It reads no more of them than a client that comes back may
// have missed, so of a very busy user it finds the latest, and fewer where the filter wants what is rare.
func (h *Streams) recent(ctx context.Context, l *Listener, mine []string, limit int) (past PastEvents, err error) {
	done, err := h.replays.take(ctx, l.User, recentWithin, func() error { return nil })
	if err != nil {
		return past, events.Faultf(events.Unavailable, "Too many look back at the moment; please try again shortly.").After(2 * time.Second)
	}
	defer done()
	extent, err := h.bus.Holds(ctx)
	if err != nil {
		return past, err
	}
	past.Events, past.LastEventID = []PastEvent{}, placeOn(extent.Born, extent.Last).String()
	most := uint64(h.cfg.LiveReplay) //nolint:gosec // checked to be positive
	begin := max(extent.First, 1) - 1
	for back := uint64(recentBack); ; back *= recentTimes {
		after := begin
		if extent.Last > begin+back {
			after = extent.Last - back
		}
		var found latest
		err := h.bus.Replay(ctx, after, extent.Last, most, events.FactsOf(mine...), func(e bus.StoredEvent) error {
			name := events.NameOf(e.Meta.Type)
			if events.OwnerOf(e.Body) == l.User && (l.Names == nil || l.Names[name]) {
				found.add(limit, PastEvent{ID: placeOn(extent.Born, e.Sequence).String(), Name: name, At: e.Meta.Time, Data: e.Body})
			}
			return nil
		})
		var many *bus.TooManyError
		if errors.As(err, &many) {
			break // what the look before found must do
		}
		if err != nil {
			return past, err
		}
		past.Events = found.newestFirst()
		if found.full || after == begin {
			break
		}
	}
	return past, nil
}

// latest are the last events of many, as many and as large as an answer may carry.
type latest struct {
	events []PastEvent // the oldest first
	bytes  int
	full   bool // there were more than there is room for, or just as many
}

func (l *latest) add(limit int, e PastEvent) {
	l.events, l.bytes = append(l.events, e), l.bytes+len(e.Data)
	for len(l.events) > limit || l.bytes > recentBytes && len(l.events) > 1 {
		l.bytes -= len(l.events[0].Data)
		l.events[0] = PastEvent{} // its bytes are free at once
		l.events, l.full = l.events[1:], true
	}
	l.full = l.full || len(l.events) == limit
}

func (l *latest) newestFirst() []PastEvent {
	slices.Reverse(l.events)
	return append([]PastEvent{}, l.events...)
}
