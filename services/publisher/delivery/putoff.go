package delivery

import (
	"sync"
	"time"
)

// putOff are posts that a pass of the sweep could not put right. They are left out for a while, each time for longer, so
// that they do not take the places of all others in its batches. To forget them costs a try and nothing else.
type putOff struct {
	mu    sync.Mutex
	posts map[string]putOffOnce
}

type putOffOnce struct {
	until time.Time
	times int
}

// maxAside bounds what is left out: where so many fail, it is not they that are wrong.
const maxAside = 2_000

// put leaves a post out, twice as long as the last time, from SweepEvery to five minutes.
func (a *putOff) put(id string, now time.Time, every time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.posts == nil || len(a.posts) >= maxAside {
		a.posts = map[string]putOffOnce{}
	}
	times := a.posts[id].times
	a.posts[id] = putOffOnce{now.Add(min(every<<min(times, 10), 5*time.Minute)), times + 1}
}

// done says that a post was put right.
func (a *putOff) done(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.posts, id)
}

// ids are the posts that are left out now; never empty, so that they can stand in a list of SQL.
func (a *putOff) ids(now time.Time) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := []string{""}
	for id, one := range a.posts {
		switch {
		case one.until.After(now):
			ids = append(ids, id)
		case now.Sub(one.until) > time.Hour: // put right by somebody else
			delete(a.posts, id)
		}
	}
	return ids
}
