package accounts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts/queue"
)

// The facts of an account: what has happened, the last words of the events' subjects.
const (
	factConnected         = "connected"
	factDisconnected      = "disconnected"
	factReconnectRequired = "reconnect_required"
	factReconnectSoon     = "reconnect_soon"
	factTokenRefreshed    = "token_refreshed"
	factPaused            = "paused"
	factResumed           = "resumed"
)

// Emit is the bus's: it returns when the events are on disk.
type Emit func(ctx context.Context, evs ...events.Event) error

// EmitChange puts the account's latest change on EVENTS, unless that is done already. It is safe to call at any time and
// twice: the row says what there is to emit, and emitting a rev again is the same event. Events carry the whole
// connection, so where a crash left two changes out, the later one says it all.
func EmitChange(ctx context.Context, db bun.IDB, emit Emit, id string) error {
	a, err := Get(ctx, db, id)
	if errors.Is(err, pg.ErrNotFound) { // erased meanwhile: what it was is nobody's business any more
		return nil
	}
	if err != nil || a.EmittedRev >= a.Rev {
		return err
	}
	ev, err := a.event(ctx, db)
	if err != nil {
		return err
	}
	if err := emit(ctx, ev); err != nil {
		return fmt.Errorf("emit %s: %w", ev.Type(), err)
	}
	return markEmitted(ctx, db, a.ID, a.Rev)
}

// EmitMissing emits every change that a crash left out, and returns how many there were.
func EmitMissing(ctx context.Context, db bun.IDB, emit Emit) (int, error) {
	var ids []string
	err := db.NewSelect().Model((*Account)(nil)).Column("id").Where("told_rev < rev").Order("updated_at").Scan(ctx, &ids)
	if err != nil {
		return 0, fmt.Errorf("list accounts with changes to emit: %w", err)
	}
	var failed []error
	for _, id := range ids {
		// One account whose change cannot be emitted must not hold up the others.
		if err := EmitChange(ctx, db, emit, id); err != nil {
			failed = append(failed, fmt.Errorf("account %s: %w", id, err))
		}
	}
	return len(ids) - len(failed), errors.Join(failed...)
}

// event is the one that led to the account's rev.
func (a Account) event(ctx context.Context, db bun.IDB) (events.Event, error) {
	c := a.Connection()
	switch a.Fact {
	case factConnected:
		return events.NewAccountConnected(c), nil
	case factDisconnected:
		return events.NewAccountDisconnected(c), nil
	case factTokenRefreshed:
		return events.NewTokenRefreshed(c), nil
	case factPaused:
		return events.NewAccountPaused(c), nil
	case factResumed:
		return events.NewAccountResumed(c), nil
	case factReconnectRequired:
		posts, err := queue.Endangered(ctx, db, a.ID, time.Time{}, maxEndangered)
		if err != nil {
			return nil, err
		}
		reason := a.Reason
		if reason == nil {
			reason = mustReconnect()
		}
		return events.NewAccountReconnectRequired(c, *reason, posts), nil
	case factReconnectSoon:
		posts, err := queue.Endangered(ctx, db, a.ID, a.GrantEnd(), maxEndangered)
		if err != nil {
			return nil, err
		}
		return events.NewAccountReconnectSoon(c, posts), nil
	}
	return nil, fmt.Errorf("account %s has the unknown fact %q", a.ID, a.Fact)
}

// markEmitted saves that a rev is on EVENTS. It never goes back: two who emit may end in either order.
func markEmitted(ctx context.Context, db bun.IDB, id string, rev int64) error {
	_, err := db.NewUpdate().Model((*Account)(nil)).Set("told_rev = ?", rev).
		Where("id = ? AND told_rev < ?", id, rev).Exec(ctx)
	if err != nil {
		return fmt.Errorf("save what was emitted: %w", err)
	}
	return nil
}
