package delivery

import (
	"testing"
	"time"
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
