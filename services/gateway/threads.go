package gateway

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/edge"
)

// What the routes have in common for which Threads is asked while the client waits.

// engagementHandlers answer what Threads knows of an account and its posts.
type engagementHandlers struct {
	bus      *bus.Bus
	commands *sender
	edge     *edge.Edge
}

// askThreads asks a question whose answer comes from Threads, and may take its time.
func askThreads[A any](ctx context.Context, b *bus.Bus, q asks.Question) (A, error) {
	ctx, cancel := context.WithTimeout(ctx, profileWithin)
	defer cancel()
	return bus.Ask[A](ctx, b, q)
}

// Paged is part of every request for a page of a list of Threads.
type Paged struct {
	Limit int    `query:"limit" minimum:"1" maximum:"100" doc:"1 to 100. Left out: 25."`
	After string `query:"after" doc:"The cursor of the page before: its next, or in place in its Link header."`

	address url.URL
}

// Resolve keeps the address, from which that of the next page is made.
func (p *Paged) Resolve(ctx huma.Context) []error {
	p.address = ctx.URL()
	return nil
}

// Spanned is part of every request for what lies in a span of time.
type Spanned struct {
	Since string `query:"since" format:"date-time" doc:"RFC 3339 with Z or an offset."`
	Until string `query:"until" format:"date-time" doc:"RFC 3339 with Z or an offset. Left out: now."`
}

func (sp *Spanned) span() (since, until time.Time, err error) {
	if since, err = moment("/since", sp.Since); err != nil {
		return since, until, err
	}
	until, err = moment("/until", sp.Until)
	return since, until, err
}

// moment reads a time of the query; none is the zero time.
func moment(at, written string) (time.Time, error) {
	if written == "" {
		return time.Time{}, nil
	}
	t, err := parseTime(written)
	if err != nil {
		flaw := edge.TimeError(at, written)
		return t, events.Faultf(events.Invalid, "%s", flaw.Detail).At(at, flaw.Code, flaw.Detail)
	}
	return t.UTC(), writable(at, t)
}

type threadsPageOutput struct {
	Link string `header:"Link" doc:"The next page, where there is one: <…>; rel=\"next\"."`
	Body asks.ThreadsPage
}

// threadsPage asks for a page.
func (h *engagementHandlers) threadsPage(ctx context.Context, p *Paged, q asks.Question) (*threadsPageOutput, error) {
	page, err := askThreads[asks.ThreadsPage](ctx, h.bus, q)
	if err != nil {
		return nil, err
	}
	out := &threadsPageOutput{Body: page}
	if page.Next != "" {
		query := p.address.Query()
		query.Set("after", page.Next)
		out.Link = fmt.Sprintf(`<%s?%s>; rel="next"`, p.address.EscapedPath(), query.Encode())
	}
	return out, nil
}
