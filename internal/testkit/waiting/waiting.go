// Package waiting is how tests wait for what no message marks.
package waiting

import (
	"context"
	"testing"
	"time"
)

// Limit is how long a test waits for what must come. It is long because it costs nothing where all is well, and the machine
// may be a slow one.
const Limit = time.Minute

// Context ends with the test, or after the limit: for a question that would not be waited for so long otherwise.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Limit)
	t.Cleanup(cancel)
	return ctx
}

// Until looks again and again, and ends the test when what must come did not.
func Until(t testing.TB, what string, done func() bool) {
	t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	limit := time.After(Limit)
	for !done() {
		select {
		case <-look.C:
		case <-limit:
			t.Fatalf("waited %s in vain: %s", Limit, what)
		}
	}
}
