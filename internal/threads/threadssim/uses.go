package threadssim

import (
	"fmt"
	"slices"
	"time"
)

// use is a search that counts against a quota. Posts and deletions count themselves.
type use struct {
	UserID string    `json:"user_id"`
	Quota  quota     `json:"quota"`
	At     time.Time `json:"at"`
	// Query is the keyword of a keyword search.
	Query string `json:"query,omitempty"`
}

// searched is a keyword the profile remembers.
type searched struct {
	query string
	at    time.Time
}

const maxSearched = 20

// keywords are what the profile tells about its searches, the latest first. Only here times are Unix milliseconds.
func (u *user) keywords() any {
	if len(u.asked) == 0 {
		return nil
	}
	list := make([]any, 0, len(u.asked))
	for _, a := range slices.Backward(u.asked) {
		list = append(list, map[string]any{"query": a.query, "timestamp": a.at.UnixMilli()})
	}
	return list
}

func (s *store) replayUse(d *use) error {
	u := s.users[d.UserID]
	if u == nil {
		return fmt.Errorf("use of a quota by unknown user %s", d.UserID)
	}
	u.spend(d.Quota, d.At)
	if d.Query != "" {
		u.asked = append(u.asked, searched{d.Query, d.At})
		u.asked = u.asked[max(len(u.asked)-maxSearched, 0):]
	}
	return nil
}

// spends writes down one use of an allowance by the caller.
func (c *call) spends(q quota, query string) (answer, bool) {
	if err := c.store.commit(entry{Use: &use{UserID: c.user.ID, Quota: q, At: c.at, Query: query}}); err != nil {
		return unwell(), false
	}
	return answer{}, true
}
