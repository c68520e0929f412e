package threadssim

import (
	"fmt"
	"time"
)

type quota string

const (
	posts            quota = "posts"
	replies          quota = "replies"
	deletes          quota = "deletes"
	locationSearches quota = "location_searches"
	keywordSearches  quota = "keyword_searches"
	profileLookups   quota = "profile_lookups"
)

// quotaWindow moves with the clock; there is no midnight at which a quota returns.
const quotaWindow = 24 * time.Hour

// Quotas are the allowances of one profile for a moving day.
type Quotas struct {
	Posts            int `json:"posts"`
	Replies          int `json:"replies"`
	Deletes          int `json:"deletes"`
	LocationSearches int `json:"location_searches"`
	KeywordSearches  int `json:"keyword_searches"`
	ProfileLookups   int `json:"profile_lookups"`
}

// documentedQuotas are Threads' own.
//
// https://developers.facebook.com/documentation/threads/overview
var documentedQuotas = Quotas{
	Posts: 250, Replies: 1000, Deletes: 100, LocationSearches: 500, KeywordSearches: 2200, ProfileLookups: 1000,
}

func (q Quotas) of(kind quota) int {
	switch kind {
	case posts:
		return q.Posts
	case replies:
		return q.Replies
	case deletes:
		return q.Deletes
	case locationSearches:
		return q.LocationSearches
	case keywordSearches:
		return q.KeywordSearches
	case profileLookups:
		return q.ProfileLookups
	}
	return 0
}

func (q Quotas) check() error {
	for _, kind := range []quota{posts, replies, deletes, locationSearches, keywordSearches, profileLookups} {
		if n := q.of(kind); n < 0 {
			return fmt.Errorf("%s: %d is below zero", kind, n)
		}
	}
	return nil
}

// window remembers the uses within quotaWindow. Uses come in the order of time, so the front is all there is to clear.
type window struct{ at []time.Time }

func (w *window) used(now time.Time) int {
	since := now.Add(-quotaWindow)
	i := 0
	for i < len(w.at) && !w.at[i].After(since) {
		i++
	}
	w.at = w.at[i:]
	return len(w.at)
}

func (u *user) window(q quota) *window {
	w := u.used[q]
	if w == nil {
		w = &window{}
		u.used[q] = w
	}
	return w
}

func (u *user) spend(q quota, at time.Time) {
	w := u.window(q)
	w.at = append(w.at, at)
}

// full says whether the caller has used up an allowance.
func (c *call) full(q quota) bool { return c.user.window(q).used(c.at) >= c.knobs.QuotaTotal.of(q) }

// quotaFull is a guess by default: nobody has captured the true answer, Instagram's stands in.
func (c *call) quotaFull() answer {
	e := c.knobs.QuotaError
	return refuse(e.HTTP, oauthException, e.Code, e.Subcode, e.Message)
}
