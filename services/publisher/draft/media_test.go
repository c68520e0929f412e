package draft

import (
	"testing"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
)

// A file whose bytes make the prober panic is one that was not probed. No handler would catch that panic: files are probed in
// goroutines of their own.
func TestProbeThatPanics(t *testing.T) {
	t.Parallel()
	s := &Service{log: zap.NewNop()} // without a prober
	found := s.probeAll(t.Context(), events.Draft{Media: []events.Media{{Type: events.Image, URL: "https://strange.example/a.jpg"}}})
	if len(found) != 1 || found[0].Fetched || len(found[0].Problems) != 1 || found[0].Problems[0].Code != "not_looked_at" {
		t.Errorf("%+v", found)
	}
}
