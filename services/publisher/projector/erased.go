package projector

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
)

// withoutErased leaves out events of posts of erased accounts: one that was read before the account's events were taken from
// EVENTS must not bring its post back.
func (*Projector) withoutErased(ctx context.Context, db bun.IDB, evs []Event) ([]Event, error) {
	var ids []string
	for _, e := range evs {
		if ev, ok := e.Message.(events.PostEvent); ok {
			ids = append(ids, ev.Snapshot().AccountID)
		}
		if account, _ := e.about(); e.unfit != nil && account != "" {
			ids = append(ids, account)
		}
	}
	if len(ids) == 0 {
		return evs, nil
	}
	erased, err := accounts.WithTombstones(ctx, db, ids)
	if err != nil || len(erased) == 0 {
		return evs, err
	}
	for i, e := range evs {
		if ev, ok := e.Message.(events.PostEvent); ok && erased[ev.Snapshot().AccountID] {
			evs[i].Message = nil // its place in the stream still counts
		}
		if account, _ := e.about(); e.unfit != nil && erased[account] {
			evs[i].unfit = nil
		}
	}
	return evs, nil
}

// restoreTombstone puts the tombstone back where a restored database has lost it: EVENTS still says what was erased.
func (*Projector) restoreTombstone(ctx context.Context, tx bun.Tx, ev events.AccountErased) error {
	return accounts.InsertTombstone(ctx, tx, ev.AccountID, ev.UserID, "", ev.At)
}
