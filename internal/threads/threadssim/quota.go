package threadssim

import "time"

type quota string

const (
	posts   quota = "posts"
	replies quota = "replies"
	deletes quota = "deletes"
)

// quotaWindow moves with the clock; there is no midnight at which a quota returns.
const quotaWindow = 24 * time.Hour

// totals are Threads' documented allowances.
//
// https://developers.facebook.com/documentation/threads/overview
var totals = map[quota]int{posts: 250, replies: 1000, deletes: 100}

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

func (u *user) full(q quota, now time.Time) bool { return u.window(q).used(now) >= totals[q] }

func (u *user) spend(q quota, at time.Time) {
	w := u.window(q)
	w.at = append(w.at, at)
}
