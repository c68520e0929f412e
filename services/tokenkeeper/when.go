package tokenkeeper

import (
	"hash/fnv"
	"time"
)

// youngest is the age below which Threads refreshes no token, and a minute more: its clock and ours need not agree.
const youngest = 24*time.Hour + time.Minute

// refreshAt is when to refresh a token first: at half its life, give or take up to 5 % of that life, and never under
// a day of age. The half leaves a month to mend whatever goes wrong; the jitter, the same for an account whenever it
// is reckoned, keeps accounts that were connected together from being refreshed together for ever.
func refreshAt(accountID string, issued, expires time.Time) time.Time {
	life := expires.Sub(issued)
	at := issued.Add(life/2 + time.Duration(jitter(accountID)*0.05*float64(life)))
	if earliest := issued.Add(youngest); at.Before(earliest) {
		return earliest
	}
	return at
}

// jitter is a number from -1 to 1 that belongs to the account.
func jitter(accountID string) float64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(accountID))
	return float64(h.Sum32())/float64(1<<31) - 1
}

// backoff is the pause after the nth failure in a row: it doubles from the least to the most.
func (c Config) backoff(n int) time.Duration {
	pause := c.BackoffMin
	for ; n > 1 && pause < c.BackoffMax; n-- {
		pause *= 2
	}
	return min(pause, c.BackoffMax)
}
