package accounts

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/pg"
)

// Get reads an account, whatever its status. A missing one is pg.ErrNotFound.
func Get(ctx context.Context, db bun.IDB, id string) (Account, error) {
	var a Account
	if err := db.NewSelect().Model(&a).Where("id = ?", id).Scan(ctx); err != nil {
		return Account{}, fmt.Errorf("read account: %w", pg.Map(err))
	}
	return a, nil
}

// GetAll reads several accounts, whatever their status. Those that are missing are not in the map.
func GetAll(ctx context.Context, db bun.IDB, ids []string) (map[string]Account, error) {
	var rows []Account
	if err := pg.Read(ctx, db, &rows, ids); err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	m := make(map[string]Account, len(rows))
	for _, a := range rows {
		m[a.ID] = a
	}
	return m, nil
}

// Locked says what became of the locks that were asked for.
type Locked struct {
	Connected map[string]Account // locked, with what may keep them from publishing
	Busy      map[string]bool    // held by somebody else at this moment, and to be come back for
}

// LockAll takes the row locks of several accounts, as far as nobody else holds them: nothing here waits, for whoever waits
// for one account holds up all that come with it and after it. What is neither connected nor busy is gone.
func LockAll(ctx context.Context, tx bun.Tx, ids []string) (Locked, error) {
	// Two of our users may have connected one Threads user: what is decided by looking at both accounts' posts needs both.
	const sole = `NOT EXISTS (SELECT FROM social_connections AS other WHERE other.provider_user_id = account.provider_user_id AND other.id <> account.id)
		OR pg_try_advisory_xact_lock(hashtextextended(account.provider_user_id, 0)) AS sole`
	return lock(ctx, tx, ids, "UPDATE", sole)
}

// HoldAll keeps several accounts from being changed until the transaction ends, where nobody changes them just now. Others
// may hold them at the same time.
func HoldAll(ctx context.Context, tx bun.Tx, ids []string) (Locked, error) {
	return lock(ctx, tx, ids, "SHARE", "true AS sole")
}

func lock(ctx context.Context, tx bun.Tx, ids []string, how, sole string) (Locked, error) {
	l := Locked{Connected: make(map[string]Account, len(ids)), Busy: map[string]bool{}}
	var rows []struct {
		Account `bun:",extend"`

		Sole bool `bun:"sole,scanonly"`
	}
	q := tx.NewSelect().Model(&rows).Column("id", "provider_user_id", "status", "paused_at", "pause_reason").ColumnExpr(sole).
		Where("id = ANY($1)").Order("id").For(how + " SKIP LOCKED")
	if err := pg.Prepared(ctx, tx, fmt.Sprint(q), []any{ids}, &rows); err != nil {
		return l, fmt.Errorf("lock accounts: %w", err)
	}
	had := make(map[string]bool, len(rows))
	for _, a := range rows {
		had[a.ID] = true
		switch {
		case !a.Sole:
			l.Busy[a.ID] = true
		case a.Status != events.ConnectionDisconnected:
			l.Connected[a.ID] = a.Account
		}
	}
	missing := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return had[id] })
	if len(missing) == 0 {
		return l, nil
	}
	var busy []string // a row that is there was passed over because of its lock
	if err := tx.NewSelect().Model((*Account)(nil)).Column("id").Where("id IN (?)", bun.List(missing)).Scan(ctx, &busy); err != nil {
		return l, fmt.Errorf("look for locked accounts: %w", err)
	}
	for _, id := range busy {
		l.Busy[id] = true
	}
	return l, nil
}

// ForUsers is ForUser for several users.
func ForUsers(ctx context.Context, db bun.IDB, userIDs []string) (map[string][]Account, error) {
	var list []Account
	text := fmt.Sprint(db.NewSelect().Model((*Account)(nil)).Where("user_id = ANY($1::text[]) AND status <> ?", events.ConnectionDisconnected).
		Order("created_at", "id"))
	if err := pg.Prepared(ctx, db, text, []any{userIDs}, &list); err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	byUser := map[string][]Account{}
	for _, a := range list {
		byUser[a.UserID] = append(byUser[a.UserID], a)
	}
	return byUser, nil
}

// ForUser is every account that the user has connected, the oldest first. Disconnected ones are not among them.
func ForUser(ctx context.Context, db bun.IDB, userID string) ([]Account, error) {
	var list []Account
	err := db.NewSelect().Model(&list).Where("user_id = ? AND status <> ?", userID, events.ConnectionDisconnected).
		Order("created_at", "id").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return list, nil
}

// Resolve finds the account that a user means: the one named, or the only one there is. It returns a Fault where
// there is none, or where several leave it open. A foreign id answers exactly like a missing one.
func Resolve(ctx context.Context, db bun.IDB, userID, accountID string) (Account, error) {
	list, err := ForUser(ctx, db, userID)
	if err != nil {
		return Account{}, err
	}
	return Choose(list, accountID)
}

// Choose is Resolve among the accounts of a user.
func Choose(list []Account, accountID string) (Account, error) {
	if accountID != "" {
		for _, a := range list {
			if a.ID == accountID {
				return a, nil
			}
		}
		return Account{}, noSuchAccount()
	}
	switch len(list) {
	case 0:
		const none = "No Threads account is connected yet; connect one first, then send this again."
		return Account{}, events.Faultf(events.NotFound, none).At("/accountId", "no_account", none)
	case 1:
		return list[0], nil
	}
	const several = "You have connected several Threads accounts; please name one by its id."
	return Account{}, events.Faultf(events.Invalid, several).At("/accountId", "account_required", several)
}

func noSuchAccount() *events.Fault {
	return events.Faultf(events.NotFound, "There is no connected account with this id among yours.")
}

// changed runs a conditional UPDATE … RETURNING on one account. No row means that the guard did not hold, which is
// an answer and no error.
func changed(ctx context.Context, q *bun.UpdateQuery, doing string) (Account, bool, error) {
	var a Account
	// Columns by name: a newer schema may have more of them than this program knows.
	err := q.Model(&a).Returning("?Columns").Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return Account{}, false, nil
	}
	if err != nil {
		return Account{}, false, fmt.Errorf("%s: %w", doing, err)
	}
	return a, true, nil
}
