package delivery

import (
	"testing"
	"time"
)

func TestMayWaitInHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wait    time.Duration
		waiting int64
		want    bool
	}{
		{time.Millisecond, 0, true},
		{tooNear, mostInHand - 1, true},
		{tooNear + time.Millisecond, 0, false},
		{time.Millisecond, mostInHand, false},
	} {
		if got := mayWaitInHand(c.wait, c.waiting); got != c.want {
			t.Errorf("%s beside %d others: %t", c.wait, c.waiting, got)
		}
	}
}
