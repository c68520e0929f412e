package limiter

import (
	"testing"
	"time"
)

// Places are the account's, and the process'; who finds none gets an appointment, and all of them one after the other.
func TestLimiter(t *testing.T) {
	t.Parallel()
	now := time.Now()
	l := New(3, 0, 2)
	l.Farthest = time.Second
	for i, c := range []struct {
		account string
		ok      bool
	}{{"a", true}, {"a", true}, {"a", false}, {"b", true}, {"b", false}, {"c", false}} {
		again, ok := l.Acquire("", c.account, now)
		if ok != c.ok || !ok && again <= 0 {
			t.Errorf("%d: %s may enter: %t, or else in %s", i, c.account, ok, again)
		}
	}
	var last time.Duration
	for range 200 {
		last, _ = l.Acquire("", "a", now)
		if last > l.Farthest {
			t.Fatalf("an appointment in %s", last)
		}
	}
	if last < l.Farthest/2 {
		t.Errorf("the two hundredth is asked to come in %s", last)
	}
	l.Release("", "a", time.Millisecond)
	if _, ok := l.Acquire("", "c", now); !ok {
		t.Error("a place that was given back is not given again")
	}
}
