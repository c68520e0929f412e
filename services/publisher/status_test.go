package publisher

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
)

func TestReadFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		left     time.Duration
		failures int
		want     time.Duration
	}{
		{2 * time.Minute, 0, time.Minute},
		{20 * time.Second, 0, 10 * time.Second},
		{time.Second, 0, leastRead},
		{-time.Hour, 0, leastRead},
		{-time.Hour, 2, 4 * leastRead},
		{-time.Hour, 1000, 32 * leastRead},
	} {
		if got := readFor(c.left, c.failures); got != c.want {
			t.Errorf("%s before its time, after %d failures: %s", c.left, c.failures, got)
		}
	}
}

// A status that is never answered is asked for again before the post is due, and the post goes out while the first question
// still hangs.
func TestHangingStatus(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var asked atomic.Int64
	release := make(chan struct{})
	r.behind(func(req *http.Request) {
		if strings.Contains(req.URL.RawQuery, "error_message") && asked.Add(1) == 1 {
			<-release
		}
	})
	r.start()
	t.Cleanup(func() { close(release) })
	r.once(r.await(r.schedule(6*time.Second, "due soon").ID, events.FactPublished))
}
