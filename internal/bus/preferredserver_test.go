package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// A process whose server fails goes to another, and back when its own is well again.
func TestReturnToPreferredServer(t *testing.T) {
	t.Parallel()
	c := bustest.NewCluster(t)
	b, err := bus.Connect(t.Context(), bus.Config{URL: c.URL(), Name: "test", Log: bustest.Log(t), PreferredCheckEvery: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	preferred := c.Names()[b.PreferredServer()]
	at := func() string {
		nc := b.JetStream().Conn()
		if !nc.IsConnected() {
			return ""
		}
		return nc.ConnectedServerName()
	}
	waiting.Until(t, "the home that was drawn", func() bool { return at() == preferred })
	c.Kill(preferred)
	waiting.Until(t, "another server", func() bool { return at() != preferred && at() != "" })
	c.Start(preferred)
	waiting.Until(t, "the home that is well again", func() bool { return at() == preferred })
}
