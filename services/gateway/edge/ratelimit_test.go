package edge

import (
	"fmt"
	"testing"
	"time"
)

// TestRatePolicy looks from inside: it chooses the time.
func TestRatePolicy(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	drain := func(t *testing.T, a *ratePolicy, who string, at time.Time) (n int) {
		t.Helper()
		for ; n <= a.perMinute; n++ {
			if _, ok := a.take(who, at); !ok {
				break
			}
		}
		return n
	}

	t.Run("is a minute's worth at once, and then flows back steadily", func(t *testing.T) {
		t.Parallel()
		a := newRatePolicy("reads", 60)
		if n := drain(t, a, "ada", now); n != 60 {
			t.Fatalf("%d at once", n)
		}
		left, ok := a.take("ada", now)
		if ok || left.left != 0 || left.full != time.Minute || left.next != time.Second {
			t.Errorf("%+v", left)
		}
		if n := drain(t, a, "ada", now.Add(10*time.Second)); n != 10 {
			t.Errorf("%d after ten seconds", n)
		}
		if n := drain(t, a, "ada", now.Add(time.Hour)); n != 60 {
			t.Errorf("%d after an hour", n)
		}
	})

	t.Run("of one is not another's", func(t *testing.T) {
		t.Parallel()
		a := newRatePolicy("reads", 10)
		drain(t, a, "ada", now)
		if n := drain(t, a, "bob", now); n != 10 {
			t.Errorf("%d for bob", n)
		}
	})

	t.Run("forgets nobody who has something to wait for", func(t *testing.T) {
		t.Parallel()
		a := newRatePolicy("reads", 60)
		a.take("first", now) // begins a generation
		drain(t, a, "ada", now.Add(59*time.Second))
		a.take("second", now.Add(61*time.Second)) // begins another
		a.take("third", now.Add(118*time.Second))
		if n := drain(t, a, "ada", now.Add(118*time.Second)); n != 59 {
			t.Errorf("%d after 59 seconds", n)
		}
		drain(t, a, "ada", now.Add(118*time.Second))
		a.take("fourth", now.Add(125*time.Second))
		if n := drain(t, a, "ada", now.Add(128*time.Second)); n != 10 {
			t.Errorf("%d after ten more", n)
		}
	})

	t.Run("remembers a bounded number of people", func(t *testing.T) {
		t.Parallel()
		a := newRatePolicy("anonymous", 10)
		a.most = 100
		for i := range 10_000 {
			a.take(fmt.Sprint(i), now)
			if n := len(a.young) + len(a.old); n > 200 {
				t.Fatalf("%d after %d", n, i)
			}
		}
		for i := range 3 { // and lets go of them when they were not seen for long
			a.take("ada", now.Add(time.Duration(i)*2*time.Minute))
		}
		if n := len(a.young) + len(a.old); n != 1 {
			t.Errorf("%d left", n)
		}
	})

	t.Run("says what is left in the words of the draft", func(t *testing.T) {
		t.Parallel()
		a := newRatePolicy("writes", 120)
		var left remaining
		for range 3 {
			left, _ = a.take("ada", now)
		}
		got := map[string]string{}
		a.setHeaders(left, func(name, value string) { got[name] = value })
		if got["RateLimit-Policy"] != `"writes";q=120;w=60` || got["RateLimit"] != `"writes";r=117;t=2` {
			t.Errorf("%v", got)
		}
	})

	t.Run("is not limited at 0", func(t *testing.T) {
		t.Parallel()
		if newRatePolicy("reads", 0) != nil {
			t.Error("limited")
		}
	})
}
