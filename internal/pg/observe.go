package pg

import (
	"context"
	"database/sql"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/uptrace/bun"
)

var observer atomic.Pointer[bun.QueryHook]

// Observe has a hook see every statement of the pools that are opened from now on. Tests want it (pgtest).
func Observe(hook bun.QueryHook) { observer.Store(&hook) }

// poolState is of a pool what bun keeps to itself, and what is prepared has need of.
type poolState struct {
	hooks []bun.QueryHook
	// unprepared says that the sessions do not keep to us what we prepare in them.
	unprepared atomic.Bool
}

var states sync.Map

func stateOf(db *bun.DB) *poolState {
	if s, ok := states.Load(weak.Make(db.DB)); ok {
		return s.(*poolState) //nolint:forcetypeassert // as hooked stores it
	}
	return new(poolState)
}

// hooked has hooks, and the observer, see the statements of a pool.
func hooked(db *bun.DB, hooks ...bun.QueryHook) *bun.DB {
	if hook := observer.Load(); hook != nil {
		hooks = append(hooks, *hook)
	}
	for _, hook := range hooks {
		db = db.WithQueryHook(hook)
	}
	pool := weak.Make(db.DB)
	states.Store(pool, &poolState{hooks: hooks})
	runtime.AddCleanup(db.DB, func(pool weak.Pointer[sql.DB]) { states.Delete(pool) }, pool)
	return db
}

// observe tells the hooks of a pool of a statement, and gives what tells them of its end.
func (s *poolState) observe(ctx context.Context, event *bun.QueryEvent) (_ context.Context, end func(error)) {
	for _, hook := range s.hooks {
		ctx = hook.BeforeQuery(ctx, event)
	}
	return ctx, func(err error) {
		event.Err = err
		for _, hook := range s.hooks {
			hook.AfterQuery(ctx, event)
		}
	}
}
