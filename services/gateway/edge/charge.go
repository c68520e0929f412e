package edge

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
)

type chargeKey struct{}

// charge is who a request is charged to, and where the client is told.
type charge struct {
	user string
	ctx  huma.Context
}

// charged lets the handler of a user's request charge more than one.
func charged(ctx huma.Context, user string) huma.Context {
	return huma.WithValue(ctx, chargeKey{}, charge{user, ctx})
}

// spend charges n more to the user of a request, or refuses it. Nothing weighs more than a whole minute.
func (e *Edge) spend(ctx context.Context, a *ratePolicy, n int) error {
	c, ok := ctx.Value(chargeKey{}).(charge)
	if !ok || a == nil || n <= 0 {
		return nil
	}
	n = min(n, a.perMinute-1) // one is taken already
	left, ok := a.takeSome(c.user, n, e.Now())
	a.setHeaders(left, c.ctx.SetHeader)
	if ok {
		return nil
	}
	rateLimited.WithLabelValues(a.name).Inc()
	return events.Faultf(events.RateLimited,
		"This counts as %d requests, and is more than %d within a minute; please wait a moment, or ask for less at once.", n+1, a.perMinute).After(left.next)
}

// SpendReads charges n more reads to the user of a request, or refuses it.
func (e *Edge) SpendReads(ctx context.Context, n int) error { return e.spend(ctx, e.rates.reads, n) }

// SpendWrites charges n more writes to the user of a request, or refuses it.
func (e *Edge) SpendWrites(ctx context.Context, n int) error { return e.spend(ctx, e.rates.writes, n) }
