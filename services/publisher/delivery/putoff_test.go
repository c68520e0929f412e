package delivery

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap"
)

// A post that brings a pass of the sweep down is left out, and the others are put right: else every process would end at it,
// and every next one at its start.
func TestSweepSurvivesAPost(t *testing.T) {
	t.Parallel()
	s := &sweeper{log: zap.NewNop(), now: time.Now}
	var left putOff
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
