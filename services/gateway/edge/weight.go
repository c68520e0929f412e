package edge

import (
	"context"
	"fmt"

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

// SpendPage charges a page of up to limit posts, in which words are looked for or not.
func (e *Edge) SpendPage(ctx context.Context, limit int, searched bool) error {
	if searched {
		limit += searchedRows
	}
	return e.SpendReads(ctx, (limit-1)/rowsOfOne)
}

// SpendRows charges the posts of a file: each is a write, or in a preview a read.
func (e *Edge) SpendRows(ctx context.Context, rows int, preview bool) error {
	spend, perMinute := e.SpendWrites, e.Limits.RateWrites
	if preview {
		spend, perMinute = e.SpendReads, e.Limits.RateReads
	}
	if perMinute != 0 && rows > perMinute {
		words := fmt.Sprintf("Each post of a file counts as a request, of which you may make %d a minute; send up to so many at a time.", perMinute)
		return events.Faultf(events.Invalid, "%s", words).At("", "row_count", words)
	}
	return spend(ctx, rows-1)
}
