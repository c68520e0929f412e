package gateway

import (
	"context"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
)

// A request is one of its user's rate by itself. What it makes us do may be as much as many: a page of posts weighs by the
// posts that are looked through for it, a file by its rows. That is charged before the work, by what is asked for.

const (
	// rowsOfOne is how many posts of a page weigh as much as a request.
	rowsOfOne = 100
	// searchedRows is through how many posts a page looks for words, at most.
	searchedRows = 3000
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
func (s *Service) spend(ctx context.Context, a *allowance, n int) error {
	c, ok := ctx.Value(chargeKey{}).(charge)
	if !ok || a == nil || n <= 0 {
		return nil
	}
	n = min(n, a.perMinute-1) // one is taken already
	left, ok := a.takeSome(c.user, n, s.now())
	a.say(left, c.ctx.SetHeader)
	if ok {
		return nil
	}
	rateLimited.WithLabelValues(a.name).Inc()
	return events.Faultf(events.RateLimited,
		"This counts as %d requests, and is more than %d within a minute; please wait a moment, or ask for less at once.", n+1, a.perMinute).After(left.next)
}

// spendPage charges a page of up to limit posts, in which words are looked for or not.
func (s *Service) spendPage(ctx context.Context, limit int, search string) error {
	if search != "" {
		limit += searchedRows
	}
	return s.spend(ctx, s.rates.reads, (limit-1)/rowsOfOne)
}

// spendRows charges the posts of a file: each is a write, or in a preview a read.
func (s *Service) spendRows(ctx context.Context, rows int, preview bool) error {
	a := s.rates.writes
	if preview {
		a = s.rates.reads
	}
	if a != nil && rows > a.perMinute {
		words := fmt.Sprintf("Each post of a file counts as a request, of which you may make %d a minute; send up to so many at a time.", a.perMinute)
		return events.Faultf(events.Invalid, "%s", words).At("", "row_count", words)
	}
	return s.spend(ctx, a, rows-1)
}
