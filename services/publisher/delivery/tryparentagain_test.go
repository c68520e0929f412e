package delivery

import (
	"testing"
	"time"
)

func TestTryParentAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		age   time.Duration
		try   int
		wait  time.Duration
		again bool
	}{
		{9 * time.Millisecond, 1, time.Second, true},
		{time.Second, 2, 2 * time.Second, true},
		{time.Minute, 6, 30 * time.Second, true},
		{parentLag, 20, 30 * time.Second, true},
		{parentLag + time.Second, 20, 0, false},
		{parentLag + time.Second, 3, 0, false},
		{24 * time.Hour, 1, time.Second, true}, // it is there, as far as we know
		{24 * time.Hour, 3, 0, false},
	} {
		if wait, again := tryParentAgain(c.age, c.try); wait != c.wait || again != c.again {
			t.Errorf("a parent %s old at try %d: %s, %t", c.age, c.try, wait, again)
		}
	}
}
