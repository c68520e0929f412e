// Package engagement answers what Threads knows of an account and its posts: insights, replies, mentions, search, limits and
// history.
package engagement

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/command"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/times"
)

// What the routes have in common for which Threads is asked while the client waits.

// Handlers answer what Threads knows of an account and its posts.
type Handlers struct {
	Bus      *bus.Bus
	Commands *command.Sender
	Edge     *edge.Edge
}

// threadsWithin is longer than other questions get.
const threadsWithin = 20 * time.Second

// askThreads asks a question whose answer comes from Threads, and may take its time.
func askThreads[A any](ctx context.Context, b *bus.Bus, q asks.Question) (A, error) {
	ctx, cancel := context.WithTimeout(ctx, threadsWithin)
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
	if since, err = times.Moment("/since", sp.Since); err != nil {
		return since, until, err
	}
	until, err = times.Moment("/until", sp.Until)
	return since, until, err
}

type threadsPageOutput struct {
	Link string `header:"Link" doc:"The next page, where there is one: <…>; rel=\"next\"."`
	Body asks.ThreadsPage
}

// threadsPage asks for a page.
func (h *Handlers) threadsPage(ctx context.Context, p *Paged, q asks.Question) (*threadsPageOutput, error) {
	page, err := askThreads[asks.ThreadsPage](ctx, h.Bus, q)
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
