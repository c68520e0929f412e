package live

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/accounts"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/signin"
)

// Handlers open live streams.
type Handlers struct {
	Bus     *bus.Bus
	Streams *Streams
}

type streamInput struct {
	accounts.AccountQuery
	Facts       string `query:"facts" doc:"Only these facts, with commas between: published,failed or post.published."`
	Ticket      string `query:"ticket" doc:"A ticket, good once, for EventSource, which cannot send a bearer token."`
	LastEventID string `header:"Last-Event-ID" doc:"The id of the last event that you have: what you missed comes first."`
	ResumeAfter string `query:"lastEventId" doc:"The same, for a new EventSource, which cannot send it as a header."`

	edge.OnceOnly
	head bool
}

// Resolve looks for repeated parameters, and whether only the headers are asked for.
func (in *streamInput) Resolve(ctx huma.Context) []error {
	in.Check(ctx)
	in.head = ctx.Method() == http.MethodHead
	return nil
}

// StreamEvents opens a live stream of the caller's facts.
func (h *Handlers) StreamEvents(ctx context.Context, in *streamInput) (*huma.StreamResponse, error) {
	if in.head { // a look must not use up a ticket, and must end
		return &huma.StreamResponse{Body: func(c huma.Context) { c.SetHeader("Content-Type", "text/event-stream") }}, nil
	}
	if in.Repeated != "" {
		return nil, in.Refuse()
	}
	l := &Listener{Account: in.AccountID}
	var err error
	if l.Names, err = FactNames(in.Facts); err != nil {
		return nil, err
	}
	who, err := h.listenerOf(ctx, in.Ticket)
	if err != nil {
		return nil, err
	}
	l.User = who.User
	edge.InfoOf(ctx).User = who.User

	resumed := in.LastEventID
	if resumed == "" {
		resumed = in.ResumeAfter
	}
	var accounts []string
	if resumed != "" || l.Account != "" {
		if accounts, err = h.accountsOf(ctx, l); err != nil {
			return nil, err
		}
	}
	if err := h.Streams.Enter(ctx, l); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		_, w := humago.Unwrap(c)
		edge.Leave(c.Context()) // streams have limits of their own
		h.Streams.Serve(c.Context(), w, l, who.Until, resumed, accounts)
	}}, nil
}

// listenerOf is who listens, by the bearer token or by a ticket.
func (h *Handlers) listenerOf(ctx context.Context, ticket string) (signin.Session, error) {
	if ticket == "" {
		return signin.SessionOf(ctx), nil
	}
	holder, err := bus.Ask[asks.TicketHolder](ctx, h.Bus, asks.RedeemTicket{Ticket: ticket})
	if err != nil {
		return signin.Session{}, err
	}
	return signin.Session{User: holder.UserID, Until: holder.SignedInUntil}, nil
}

// accountsOf are the accounts whose facts the client may have missed.
func (h *Handlers) accountsOf(ctx context.Context, l *Listener) ([]string, error) {
	all, err := bus.Ask[asks.AccountIDs](ctx, h.Bus, asks.ListAccountIDs{UserID: l.User})
	switch {
	case err != nil:
		return nil, err
	case l.Account == "":
		return all.IDs, nil
	case !slices.Contains(all.IDs, l.Account):
		return nil, events.Faultf(events.NotFound, "There is no connected account with this id among yours.")
	}
	return []string{l.Account}, nil
}

// EventStreamDoc is what /openapi.json says of the stream.
const EventStreamDoc = "Server-sent events. A fact has its name as `event` (post.published, account.connected, …), the whole post " +
	"or connection after it as `data`, and an opaque `id` to resume after. `ready` says that what you missed is told. `reset` says that what you missed cannot be told: " +
	"read again what you show. `end` says why the stream ends; connect again, with the last id. An `id` may also come alone, " +
	"with a heartbeat: it is the place up to which you know everything."
