package publisher

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
)

// A file whose bytes bring the prober down is one that was not looked at. No handler catches that: files are looked at side
// by side.
func TestLookThatPanics(t *testing.T) {
	t.Parallel()
	s := &Service{log: zap.NewNop()} // without a prober
	looks := s.lookAtMedia(t.Context(), events.Draft{Media: []events.Media{{Type: events.Image, URL: "https://strange.example/a.jpg"}}})
	if len(looks) != 1 || looks[0].Fetched || len(looks[0].Problems) != 1 || looks[0].Problems[0].Code != "not_looked_at" {
		t.Errorf("%+v", looks)
	}
}

// A post that brings a pass of the sweep down is left out, and the others are put right: else every process would end at it,
// and every next one at its start.
func TestSweepSurvivesAPost(t *testing.T) {
	t.Parallel()
	s := &Service{log: zap.NewNop(), now: time.Now}
	var left aside
	right := make(chan int, 3)
	err := s.eachOf(t.Context(), "test", &left, []string{"a", "b", "c"}, func(_ context.Context, i int) error {
		if i == 1 {
			panic("b")
		}
		right <- i
		return nil
	})
	if _, out := left.posts["b"]; err != nil || len(right) != 2 || !out || len(left.posts) != 1 {
		t.Errorf("%v; %d were put right, and %v are left out", err, len(right), left.posts)
	}
}
