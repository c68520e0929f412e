package find

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// Posts of an account share what was read, one that needs more has more read, and a failure is nobody's reading.
func TestReadings(t *testing.T) {
	t.Parallel()
	r := newReadings()
	var from []time.Time
	var failure error
	read := func(_ context.Context, since time.Time) ([]threads.Media, error) {
		from = append(from, since)
		return []threads.Media{{ID: "1"}}, failure
	}
	now := time.Now()
	get := func(account string, since time.Time, reads int) {
		t.Helper()
		from = nil
		list, err := r.get(t.Context(), account, threads.OpPosts, since, read)
		if !errors.Is(err, failure) || err == nil && !slices.Equal(idsOf(list), []string{"1"}) {
			t.Errorf("it is %v, %v", list, err)
		}
		if len(from) != reads {
			t.Errorf("it was read %d times, not %d", len(from), reads)
		}
		if slices.ContainsFunc(from, func(at time.Time) bool { return at.After(since) }) {
			t.Errorf("it was read from %s on, not from %s", from, since)
		}
	}
	failure = errors.New("Threads does not answer")
	get("one", now, 1)
	failure = nil
	get("one", now, 1)
	get("one", now.Add(-time.Minute), 0)
	get("one", now.Add(-2*time.Hour), 1)
	get("one", now, 0)
	get("another", now, 1)
}
