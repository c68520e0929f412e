package tokenkeeper

import (
	"fmt"
	"testing"
	"time"
)

const day = 24 * time.Hour

func TestRefreshAt(t *testing.T) {
	issued := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name     string
		life     time.Duration
		from, to time.Duration // of age
	}{
		{"at half the life of sixty days, give or take three", 60 * day, 27 * day, 33 * day},
		{"at half of a shorter life", 10 * day, 4*day + 12*time.Hour, 5*day + 12*time.Hour},
		{"never under a day of age", 2 * day, day + time.Minute, day + 2*time.Hour + 24*time.Minute},
		{"not even where the life is shorter than that", time.Hour, day + time.Minute, day + time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range 1000 {
				id := fmt.Sprintf("acct_%d", i)
				age := refreshAt(id, issued, issued.Add(c.life)).Sub(issued)
				if age < c.from || age > c.to {
					t.Fatalf("account %s at the age of %s, want %s to %s", id, age, c.from, c.to)
				}
			}
		})
	}

	t.Run("is the same for an account whenever it is reckoned", func(t *testing.T) {
		if a, b := refreshAt("acct_x", issued, issued.Add(60*day)), refreshAt("acct_x", issued, issued.Add(60*day)); !a.Equal(b) {
			t.Errorf("%s and %s", a, b)
		}
	})

	t.Run("spreads accounts that were connected together", func(t *testing.T) {
		byDay := map[int]int{}
		for i := range 6000 {
			at := refreshAt(fmt.Sprintf("acct_%d", i), issued, issued.Add(60*day))
			byDay[int(at.Sub(issued)/day)]++
		}
		for d, n := range byDay {
			if n > 1500 {
				t.Errorf("%d of 6000 on day %d", n, d)
			}
		}
		if len(byDay) < 6 {
			t.Errorf("spread over %d days, want six", len(byDay))
		}
	})
}

func TestBackoff(t *testing.T) {
	cfg := Config{BackoffMin: time.Minute, BackoffMax: 6 * time.Hour}
	for n, want := range map[int]time.Duration{
		1: time.Minute, 2: 2 * time.Minute, 3: 4 * time.Minute, 9: 256 * time.Minute, 10: 6 * time.Hour, 1000: 6 * time.Hour,
	} {
		if got := cfg.backoff(n); got != want {
			t.Errorf("after failure %d: %s, want %s", n, got, want)
		}
	}
}
