package engagement

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// maxRecentReads bounds what is remembered; to forget costs a call and nothing else.
const maxRecentReads = 10_000

// recentReads remembers what was read from Threads lately, so that a page that is looked at often costs Threads one call. An age
// is reckoned by the clock of the service, which tests set; golang-lru's expirable cache has only the machine's.
type recentReads struct {
	keep  time.Duration // 0: nothing is remembered
	byKey *lru.Cache[string, recentRead]
}

type recentRead struct {
	answer any
	at     time.Time
}

func newRecentReads(keep time.Duration) *recentReads {
	byKey, err := lru.New[string, recentRead](maxRecentReads)
	if err != nil {
		panic(err) // only a size below 1 is refused
	}
	return &recentReads{keep: keep, byKey: byKey}
}

// recently is what was read under the key, unless that is too long ago, and when it was read.
func recently[T any](r *recentReads, key string, now time.Time) (answer T, at time.Time, ok bool) {
	one, ok := r.byKey.Get(key)
	if !ok || now.Sub(one.at) >= r.keep {
		return answer, at, false
	}
	answer, ok = one.answer.(T)
	return answer, one.at, ok
}

func (r *recentReads) put(key string, answer any, at time.Time) {
	if r.keep > 0 {
		r.byKey.Add(key, recentRead{answer, at})
	}
}
