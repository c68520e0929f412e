package clock

import "time"

// Backoff is the pause after the nth failure in a row: 1 s doubling to 5 min.
func Backoff(n int) time.Duration {
	if n > 8 {
		return 5 * time.Minute
	}
	return min(time.Second<<max(n-1, 0), 5*time.Minute)
}
