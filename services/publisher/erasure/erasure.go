// Package erasure takes away what the publisher has of erased accounts.
package erasure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/outage"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/wire"
	"github.com/omni-write/threads/services/publisher/ownercalls"
	"github.com/omni-write/threads/services/publisher/webhooks"
)

// eraseEvery is how often it is looked, at least, which accounts are to be erased. It is one small question.
const eraseEvery = 2 * time.Second

// eraseBatch is how many posts go in one transaction.
const eraseBatch = 500

// accountTables are the tables, besides that of the posts, whose rows are an account's. A test knows when one is missing.
var accountTables = []string{
	"quota_uses", "insight_snapshots", "insight_rounds", "search_uses", "history_imports", "posts_gone", "skipped_events",
}

// Deps is what an eraser works with.
type Deps struct {
	Bus        *bus.Bus
	DB         *bun.DB
	Store      *posts.Store
	OwnerCalls *ownercalls.Service
	Webhooks   *webhooks.Service
	Log        *zap.Logger
	Now        func() time.Time
	Every      time.Duration // how often it looks at most
}

// Eraser takes away the rows of erased accounts.
type Eraser struct {
	bus        *bus.Bus
	db         *bun.DB
	store      *posts.Store
	ownerCalls *ownercalls.Service
	webhooks   *webhooks.Service
	erased     tombstones
	log        *zap.Logger
	now        func() time.Time
	every      time.Duration
}

// New makes an eraser.
func New(d Deps) *Eraser {
	return &Eraser{
		bus: d.Bus, db: d.DB, store: d.Store, ownerCalls: d.OwnerCalls, webhooks: d.Webhooks, log: d.Log, now: d.Now, every: min(eraseEvery, d.Every),
	}
}

// Erased says whether an account was erased lately, as this process last looked.
func (e *Eraser) Erased(accountID string) bool { return e.erased.has(accountID) }

// Run takes the rows of erased accounts away when it is publisher's turn (internal/accounts/erase.go), until ctx ends.
func (e *Eraser) Run(ctx context.Context) error {
	for {
		if err := e.Once(ctx); err != nil && ctx.Err() == nil {
			e.log.Error("an erasure is held up; it is tried again", zap.Error(err))
		}
		if !clock.Sleep(ctx, e.every) {
			return nil
		}
	}
}

// Once looks which accounts are to be erased, and erases what it can.
func (e *Eraser) Once(ctx context.Context) error {
	fresh, err := accounts.Fresh(ctx, e.db)
	if err != nil {
		return err
	}
	e.erased.set(fresh)
	due, err := accounts.ToErase(ctx, e.db, e.now(), accounts.StageRows)
	if err != nil {
		return err
	}
	var failed []error
	for _, t := range due { // one that fails must not hold up the others
		if err := e.eraseRows(ctx, t); err != nil {
			failed = append(failed, fmt.Errorf("account %s: %w", t.AccountID, err))
			if !outage.Is(err) {
				failed = append(failed, t.Postpone(ctx, e.db, e.now().Add(accounts.EraseAgain)))
			}
		}
	}
	return errors.Join(failed...)
}

// eraseRows takes away everything that this service has of an account. Posts on which somebody works are waited for: a call
// that is under way ends, and its worker finds the row as it left it. Only then it is auth's turn.
func (e *Eraser) eraseRows(ctx context.Context, t accounts.Tombstone) error {
	for {
		n, err := e.erasePosts(ctx, t)
		if err != nil {
			return err
		}
		if n < eraseBatch {
			break
		}
	}
	busy, err := e.store.Count(ctx, t.AccountID)
	if err != nil {
		return err
	}
	if busy > 0 {
		e.log.Info("an erasure waits for posts in hand", zap.String("account_id", t.AccountID), zap.Int("posts", int(busy)))
		return nil
	}
	if err := e.eraseCommands(ctx, t); err != nil {
		return err
	}
	var unheard []ownercalls.Erased
	err = pg.InTx(ctx, e.db, func(ctx context.Context, tx bun.Tx) (err error) {
		for _, table := range accountTables {
			if _, err := tx.NewDelete().Table(table).Where("account_id = ?", t.AccountID).Exec(ctx); err != nil {
				return fmt.Errorf("erase from %s: %w", table, err)
			}
		}
		if err := e.webhooks.Erase(ctx, tx, t.UserID, t.AccountID); err != nil {
			return err
		}
		if unheard, err = e.ownerCalls.Erase(ctx, tx, t.UserID, t.AccountID, erased()); err != nil {
			return err
		}
		if err := eraseKeptRows(ctx, tx, t.AccountID); err != nil {
			return err
		}
		return t.Pass(ctx, tx, accounts.StageStreams, e.now(), e.now())
	})
	if err != nil {
		return err
	}
	for _, c := range unheard {
		e.replyErased(ctx, c.CommandID, c.OutcomeTo)
	}
	return nil
}

// replyErased tells whoever waits for a command. Who asks by its id hears the same.
func (e *Eraser) replyErased(ctx context.Context, id, outcomeTo string) {
	if err := e.bus.Reply(ctx, outcomeTo, events.Outcome{CommandID: id, Done: true, Fault: erased()}); err != nil {
		e.log.Warn("outcome not delivered", zap.String("command_id", id), zap.Error(err))
	}
}

// erasePosts takes away posts on which nobody works, with what was tried for them and what their commands answered, and
// says how many there were.
func (e *Eraser) erasePosts(ctx context.Context, t accounts.Tombstone) (int, error) {
	var ids []string
	var awaited []commands.Command
	err := pg.InTx(ctx, e.db, func(ctx context.Context, tx bun.Tx) error {
		ids, awaited = nil, nil
		erased, err := e.store.Erase(ctx, tx, t.AccountID, eraseBatch)
		if err != nil || len(erased) == 0 {
			return err
		}
		ids = erased
		err = tx.NewSelect().Model(&awaited).Where("post_id IN (?) AND outcome IS NULL", bun.List(ids)).Scan(ctx)
		if err != nil {
			return err
		}
		return forgetCommands(ctx, tx, t, e.now(), "post_id IN (?)", bun.List(ids))
	})
	if err != nil {
		return 0, fmt.Errorf("erase posts: %w", err)
	}
	for _, c := range awaited {
		e.replyErased(ctx, c.ID, c.OutcomeTo)
	}
	return len(ids), nil
}

// eraseCommands takes away what commands about the account itself have answered.
func (e *Eraser) eraseCommands(ctx context.Context, t accounts.Tombstone) error {
	return forgetCommands(ctx, e.db, t, e.now(), `user_id = ?
		AND (outcome::text LIKE ? AND outcome->'result'->>'erasureCode' IS NULL
		OR id IN (SELECT command_id FROM history_imports WHERE account_id = ?))`, t.UserID, "%"+t.AccountID+"%", t.AccountID)
}

// forgetCommands makes the records of commands say no more than that what they did is erased. The records themselves stay
// for a round: a command that is delivered again must find that it was done. By the next round it is not any more.
func forgetCommands(ctx context.Context, db bun.IDB, t accounts.Tombstone, now time.Time, which string, args ...any) error {
	if t.Round > 1 {
		_, err := db.NewDelete().Model((*commands.Command)(nil)).Where(which, args...).Exec(ctx)
		return wrapped("erase commands", err)
	}
	outcome, err := wire.Encode(events.Outcome{Done: true, Fault: erased()})
	if err != nil {
		return fmt.Errorf("encode outcome: %w", err)
	}
	_, err = db.NewUpdate().Model((*commands.Command)(nil)).
		Set("outcome = ?::jsonb || jsonb_build_object('commandId', id)", string(outcome)).
		Set("finished_at = coalesce(finished_at, ?)", now.UTC()).Where(which, args...).Exec(ctx)
	return wrapped("erase what commands answered", err)
}

func wrapped(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// eraseKeptRows takes the account out of what a rebuild with swap has kept of the table before it.
func eraseKeptRows(ctx context.Context, tx bun.Tx, accountID string) error {
	var there bool
	if err := tx.NewRaw("SELECT to_regclass('posts_before_rebuild') IS NOT NULL").Scan(ctx, &there); err != nil || !there {
		return err
	}
	_, err := tx.NewDelete().Table("posts_before_rebuild").Where("account_id = ?", accountID).Exec(ctx)
	return wrapped("erase from posts_before_rebuild", err)
}

func erased() *events.Fault {
	return events.Faultf(events.NotFound, "This was erased with its account.")
}
