package test

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestKilled(t *testing.T) {
	t.Parallel()

	t.Run("between schedule and due time, it goes out once", func(t *testing.T) {
		t.Parallel()
		h := newSystem(t)
		h.start()
		h.connect()
		p := h.schedule("killed while waiting", 3*time.Second)
		h.kill()
		h.start()
		h.posted(p)
	})

	t.Run("while its time passes, it goes out once after the restart", func(t *testing.T) {
		t.Parallel()
		h := newSystem(t)
		h.start()
		h.connect()
		p := h.schedule("killed over its time", time.Second)
		h.kill()
		<-time.After(time.Until(p.ScheduledAt.Add(500 * time.Millisecond)))
		h.start()
		h.posted(p)
	})

	t.Run("between the publish call and the noted answer, it is on Threads once and told once", func(t *testing.T) {
		t.Parallel()
		h := newSystem(t, "PUBLISHER_LEASE=5s")
		h.start()
		h.connect()
		p := h.schedule("killed in the call", 2*time.Second)
		// The post is live, and the answer does not come: the process dies waiting for it.
		h.call(http.MethodPost, h.url("SIMULATOR_PORT")+"/_sim/faults", map[string]any{"op": "publish", "kind": "latency", "delay_ms": 60_000}, nil)
		h.eventually("Threads to have the post", func() error {
			if len(h.arrivals(p.Text)) == 0 {
				return fmt.Errorf("not yet")
			}
			return nil
		})
		h.kill()
		h.start()
		h.posted(p)
	})
}
