package edge

import (
	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
)

// OnceOnly refuses a query that says the same thing twice: which of two tickets or codes is meant would be a guess, and
// proxies on the way may guess otherwise.
type OnceOnly struct{ Repeated string }

// Resolve looks for repeated parameters.
func (o *OnceOnly) Resolve(ctx huma.Context) []error {
	o.Check(ctx)
	return nil
}

func (o *OnceOnly) Check(ctx huma.Context) {
	u := ctx.URL()
	for _, name := range []string{"ticket", "accountId", "finish", "state", "code", "error"} {
		if len(u.Query()[name]) > 1 {
			o.Repeated = name
		}
	}
}

func (o *OnceOnly) Refuse() error {
	const sentence = "This parameter is in the address more than once; please start again."
	return events.Faultf(events.Invalid, sentence).At("/"+o.Repeated, "repeated_parameter", sentence)
}
