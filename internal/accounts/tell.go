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

// The facts of an account: the last words of the events' subjects.
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

// Tell puts the account's latest change on EVENTS, unless that is done already. It is safe to call at any time and
// twice: the row says what there is to tell, and telling a rev again is the same event. Events carry the whole
// connection, so where a crash left two changes untold, the later one says it all.
func Tell(ctx context.Context, db bun.IDB, emit Emit, id string) error {
	a, err := Get(ctx, db, id)
	if errors.Is(err, pg.ErrNotFound) { // erased meanwhile: what it was is nobody's business any more
		return nil
	}
	if err != nil || a.ToldRev >= a.Rev {
		return err
	}
	ev, err := a.event(ctx, db)
	if err != nil {
		return err
	}
	if err := emit(ctx, ev); err != nil {
		return fmt.Errorf("tell %s: %w", ev.Type(), err)
	}
	return told(ctx, db, a.ID, a.Rev)
}

// TellUntold tells every change that a crash left untold, and returns how many there were.
func TellUntold(ctx context.Context, db bun.IDB, emit Emit) (int, error) {
	var ids []string
	err := db.NewSelect().Model((*Account)(nil)).Column("id").Where("told_rev < rev").Order("updated_at").Scan(ctx, &ids)
	if err != nil {
		return 0, fmt.Errorf("list untold accounts: %w", err)
	}
	var failed []error
	for _, id := range ids {
		// One account that cannot be told must not silence the others.
		if err := Tell(ctx, db, emit, id); err != nil {
			failed = append(failed, fmt.Errorf("account %s: %w", id, err))
		}
	}
	return len(ids) - len(failed), errors.Join(failed...)
}

// event is the fact that led to the account's rev.
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

// told notes that a rev is on EVENTS. It never goes back: two tellers may end in either order.
func told(ctx context.Context, db bun.IDB, id string, rev int64) error {
	_, err := db.NewUpdate().Model((*Account)(nil)).Set("told_rev = ?", rev).
		Where("id = ? AND told_rev < ?", id, rev).Exec(ctx)
	if err != nil {
		return fmt.Errorf("note what was told: %w", err)
	}
	return nil
}
