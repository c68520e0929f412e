package accounts

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
)

// An erasure takes away all that is known of a person at Threads. Its account's row goes at once, and with it the token,
// the name and the id; a tombstone takes its place, so that no claim, no acceptance and no event of the account passes any
// more. What is left then goes in rounds: publisher takes its rows (StageRows), auth what the streams hold (StageStreams).
// One round cannot be enough: a worker may have been on its way when the tombstone came. So after a rest, longer than any
// call that could have been under way, there is another; then it is confirmed.

// Request is a demand to erase. Code is what it is asked about by, Subject what all demands about one Threads user have in
// common. Both are keyed hashes, which only auth can make.
type Request struct {
	bun.BaseModel `bun:"table:erasures,alias:erasure"`

	Code        string    `bun:"code,pk"`
	Subject     string    `bun:"subject"`
	RequestedAt time.Time `bun:"requested_at"`
	FinishedAt  time.Time `bun:"finished_at,nullzero"`
}

// Shown is the demand as whoever has its code may see it.
func (r Request) Shown() asks.Erasure {
	e := asks.Erasure{Code: r.Code, Status: asks.ErasureRunning, RequestedAt: r.RequestedAt.UTC()}
	if !r.FinishedAt.IsZero() {
		at := r.FinishedAt.UTC()
		e.Status, e.FinishedAt = asks.ErasureDone, &at
	}
	return e
}

// Stage is whose turn it is in an erasure.
type Stage string

// The stages.
const (
	StageRows    Stage = "rows"    // publisher's
	StageStreams Stage = "streams" // auth's
	StageRest    Stage = "rest"    // nobody's, until it is time for another round
	StageDone    Stage = "done"    // confirmed; for some days it is looked whether anything has come back
)

// Tombstone is what stays of an erased account.
type Tombstone struct {
	bun.BaseModel `bun:"table:erased_accounts,alias:tombstone"`

	AccountID string    `bun:"account_id,pk"`
	UserID    string    `bun:"user_id"`
	Code      string    `bun:"code"`
	ErasedAt  time.Time `bun:"buried_at"`
	EmittedAt time.Time `bun:"told_at,nullzero"`
	Stage     Stage     `bun:"stage"`
	Round     int       `bun:"round"`
	NextAt    time.Time `bun:"next_at,nullzero"`
}

// Erase demands the erasure of accounts. It reports false, and changes nothing, when the same demand was made before: then
// the first stands. Publisher and auth do the rest by themselves.
func Erase(ctx context.Context, tx bun.Tx, r Request, list []Account, now time.Time) (Request, bool, error) {
	r.RequestedAt = now.UTC()
	res, err := tx.NewInsert().Model(&r).On("CONFLICT (code) DO NOTHING").Exec(ctx)
	if err != nil {
		return r, false, fmt.Errorf("save the erasure: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		if err != nil {
			return r, false, fmt.Errorf("save the erasure: %w", err)
		}
		r, err = FindErasure(ctx, tx, r.Code)
		return r, false, err
	}
	for _, a := range list {
		if err := InsertTombstone(ctx, tx, a.ID, a.UserID, r.Code, now); err != nil {
			return r, false, err
		}
	}
	if err := finishErasures(ctx, tx, now); err != nil { // there may have been nothing to erase
		return r, false, err
	}
	r, err = FindErasure(ctx, tx, r.Code)
	return r, true, err
}

// InsertTombstone puts a tombstone in the place of an account's row. Whoever holds the row, to claim or to accept, is waited for.
func InsertTombstone(ctx context.Context, tx bun.Tx, id, userID, code string, now time.Time) error {
	tombstone := Tombstone{
		AccountID: id, UserID: userID, Code: code, ErasedAt: now.UTC(), Stage: StageRows, Round: 1, NextAt: now.UTC(),
	}
	if _, err := tx.NewInsert().Model(&tombstone).On("CONFLICT (account_id) DO NOTHING").Exec(ctx); err != nil {
		return fmt.Errorf("insert the tombstone: %w", err)
	}
	if _, err := tx.NewDelete().Model((*Account)(nil)).Where("id = ?", id).Exec(ctx); err != nil {
		return fmt.Errorf("delete the account: %w", err)
	}
	return nil
}

// FindErasure reads a demand. A missing one is a Fault.
func FindErasure(ctx context.Context, db bun.IDB, code string) (Request, error) {
	var r Request
	err := db.NewSelect().Model(&r).Where("code = ?", code).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return r, events.Faultf(events.NotFound, "There is no erasure with this code.")
	}
	if err != nil {
		return r, fmt.Errorf("read the erasure: %w", err)
	}
	return r, nil
}

// WithTombstones are those of the accounts that are erased, or being erased.
func WithTombstones(ctx context.Context, db bun.IDB, ids []string) (map[string]bool, error) {
	var found []string
	err := db.NewSelect().Model((*Tombstone)(nil)).Column("account_id").
		Where("account_id IN (?)", bun.List(ids)).Scan(ctx, &found)
	if err != nil {
		return nil, fmt.Errorf("look for tombstones: %w", err)
	}
	erased := make(map[string]bool, len(found))
	for _, id := range found {
		erased[id] = true
	}
	return erased, nil
}

// HasTombstone says whether an account is erased, or being erased.
func HasTombstone(ctx context.Context, db bun.IDB, id string) (bool, error) {
	erased, err := WithTombstones(ctx, db, []string{id})
	return erased[id], err
}

// Fresh are the accounts under erasure, and those of which something might still come back.
func Fresh(ctx context.Context, db bun.IDB) (ids []string, err error) {
	err = db.NewSelect().Model((*Tombstone)(nil)).Column("account_id").Where("next_at IS NOT NULL").Scan(ctx, &ids)
	if err != nil {
		return nil, fmt.Errorf("list fresh tombstones: %w", err)
	}
	return ids, nil
}

// ToErase are accounts whose turn it is at one of the stages, the longest waiting first.
func ToErase(ctx context.Context, db bun.IDB, now time.Time, stages ...Stage) (list []Tombstone, err error) {
	err = db.NewSelect().Model(&list).Where("next_at <= ? AND stage IN (?)", now.UTC(), bun.List(stages)).
		Order("next_at").Limit(erasuresAtOnce).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list what is to be erased: %w", err)
	}
	return list, nil
}

const erasuresAtOnce = 100

// ErasuresToEmit are accounts whose erasure is not on EVENTS yet.
func ErasuresToEmit(ctx context.Context, db bun.IDB) (list []Tombstone, err error) {
	err = db.NewSelect().Model(&list).Where("told_at IS NULL AND next_at IS NOT NULL").Limit(erasuresAtOnce).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list erasures to emit: %w", err)
	}
	return list, nil
}

// MarkEmitted saves that the erasure is on EVENTS.
func (t Tombstone) MarkEmitted(ctx context.Context, db bun.IDB, now time.Time) error {
	_, err := db.NewUpdate().Model((*Tombstone)(nil)).
		Set("told_at = ?", now.UTC()).Where("account_id = ?", t.AccountID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("save that the erasure is emitted: %w", err)
	}
	return nil
}

// Pass gives the turn on, to be taken at a time or, where that is zero, never. Two who did the same work pass it once. The
// one that confirms an erasure saves that too.
func (t Tombstone) Pass(ctx context.Context, tx bun.Tx, to Stage, next, now time.Time) error {
	round := t.Round
	if t.Stage == StageRest && to == StageRows {
		round++
	}
	_, err := tx.NewUpdate().Model((*Tombstone)(nil)).
		Set("stage = ?", to).Set("round = ?", round).Set("next_at = ?", bun.NullTime{Time: next.UTC()}).
		Where("account_id = ? AND stage = ? AND round = ?", t.AccountID, t.Stage, t.Round).Exec(ctx)
	if err != nil {
		return fmt.Errorf("pass the erasure on: %w", err)
	}
	if to != StageDone {
		return nil
	}
	return finishErasures(ctx, tx, now)
}

// Postpone gives a turn that failed back, to be taken later, so that it does not keep those behind it from theirs.
func (t Tombstone) Postpone(ctx context.Context, db bun.IDB, until time.Time) error {
	_, err := db.NewUpdate().Model((*Tombstone)(nil)).Set("next_at = ?", until.UTC()).
		Where("account_id = ? AND stage = ? AND round = ?", t.AccountID, t.Stage, t.Round).Exec(ctx)
	if err != nil {
		return fmt.Errorf("postpone the erasure: %w", err)
	}
	return nil
}

// EraseAgain is when a turn that failed is taken again.
const EraseAgain = time.Minute

// finishErasures confirms the demands of which nothing is left to do: neither of their own accounts, nor of those that an
// earlier demand about the same Threads user has erased.
func finishErasures(ctx context.Context, db bun.IDB, now time.Time) error {
	_, err := db.NewUpdate().Model((*Request)(nil)).Set("finished_at = ?", now.UTC()).Where("finished_at IS NULL").
		Where(`NOT EXISTS (SELECT FROM erased_accounts AS a JOIN erasures AS e ON e.code = a.code
			WHERE e.subject = erasure.subject AND a.stage <> 'done')`).Exec(ctx)
	if err != nil {
		return fmt.Errorf("confirm erasures: %w", err)
	}
	return nil
}

// OfThreadsUser are all accounts, of whichever user and in whichever state, that stand for a Threads user and were granted
// by a time. They are locked, always in the same order.
func OfThreadsUser(ctx context.Context, tx bun.Tx, threadsUserID string, grantedBy time.Time) (list []Account, err error) {
	err = tx.NewSelect().Model(&list).Where("provider_user_id = ? AND granted_at <= ?", threadsUserID, grantedBy.UTC()).
		Order("id").For("UPDATE").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the accounts of a Threads user: %w", err)
	}
	return list, nil
}

// Own reads an account of the user's that is named, connected or not. A foreign id answers exactly like a missing one.
func Own(ctx context.Context, db bun.IDB, userID, id string) (Account, error) {
	var a Account
	err := db.NewSelect().Model(&a).Where("id = ? AND user_id = ?", id, userID).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return a, noSuchAccount()
	}
	if err != nil {
		return a, fmt.Errorf("read account: %w", err)
	}
	return a, nil
}

// Erased is what is left to be said of an account that is being erased: nothing that Threads told us.
func (a Account) Erased(code string, now time.Time) events.Connection {
	return events.Connection{
		ID: a.ID, Provider: a.Provider, UserID: a.UserID, Status: events.ConnectionDisconnected, Scopes: []string{},
		CreatedAt: a.CreatedAt.UTC(), UpdatedAt: now.UTC(), GrantedAt: a.GrantedAt.UTC(), Rev: a.Rev + 1, ErasureCode: code,
	}
}
