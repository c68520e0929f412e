// Package clock has what is said of times in several places.
package clock

import "time"

// Latest is the later of two times.
func Latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
