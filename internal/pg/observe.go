package pg

import (
	"sync/atomic"

	"github.com/uptrace/bun"
)

var observer atomic.Pointer[bun.QueryHook]

// Observe has a hook see every statement of the pools that are opened from now on. Tests want it (pgtest).
func Observe(hook bun.QueryHook) { observer.Store(&hook) }

func observed(db *bun.DB) *bun.DB {
	if hook := observer.Load(); hook != nil {
		return db.WithQueryHook(*hook)
	}
	return db
}
