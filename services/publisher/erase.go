package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/outage"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/wire"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

// eraseEvery is how often it is looked, at least, which accounts are to be erased. It is one small question.
const eraseEvery = 2 * time.Second

// eraseBatch is how many posts go in one transaction.
const eraseBatch = 500

// erased are the accounts that were erased lately, as this process last looked. No fact of theirs is told. A fact that
// slips through in between, or from a process that stood still, is taken away by the next round of the erasure.
type tombstones struct {
	ids atomic.Pointer[map[string]bool]
}

func (g *tombstones) has(accountID string) bool {
	ids := g.ids.Load()
	return ids != nil && (*ids)[accountID]
}

func (g *tombstones) set(list []string) {
	ids := make(map[string]bool, len(list))
	for _, id := range list {
		ids[id] = true
	}
	g.ids.Store(&ids)
}

// accountTables are the tables, besides that of the posts, whose rows are an account's. A test knows when one is missing.
var accountTables = []string{
	"quota_uses", "insight_snapshots", "insight_rounds", "search_uses", "history_imports", "posts_gone",
}

// erase takes the rows of erased accounts away when it is publisher's turn (internal/accounts/erase.go), until ctx ends.
func (s *Service) erase(ctx context.Context) error {
	every := min(eraseEvery, s.cfg.SweepEvery)
	for {
		if err := s.eraseOnce(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("an erasure is held up; it is tried again", errField(err))
		}
		if !clock.Sleep(ctx, every) {
			return nil
		}
	}
}

func (s *Service) eraseOnce(ctx context.Context) error {
	fresh, err := accounts.Fresh(ctx, s.db)
	if err != nil {
		return err
	}
	s.erased.set(fresh)
	due, err := accounts.ToErase(ctx, s.db, s.now(), accounts.StageRows)
	if err != nil {
		return err
	}
	var failed []error
	for _, t := range due { // one that fails must not hold up the others
		if err := s.eraseRows(ctx, t); err != nil {
			failed = append(failed, fmt.Errorf("account %s: %w", t.AccountID, err))
			if !outage.Is(err) {
				failed = append(failed, t.Postpone(ctx, s.db, s.now().Add(accounts.EraseAgain)))
			}
		}
	}
	return errors.Join(failed...)
}

// eraseRows takes away everything that this service has of an account. Posts on which somebody works are waited for: a call
// that is under way ends, and its worker finds the row as it left it. Only then it is auth's turn.
func (s *Service) eraseRows(ctx context.Context, t accounts.Tombstone) error {
	for {
		n, err := s.erasePosts(ctx, t)
		if err != nil {
			return err
		}
		if n < eraseBatch {
			break
		}
	}
	busy, err := s.store.Count(ctx, t.AccountID)
	if err != nil {
		return err
	}
	if busy > 0 {
		s.log.Info("an erasure waits for posts in hand", accountField(t.AccountID), zap.Int("posts", int(busy)))
		return nil
	}
	if err := s.eraseCommands(ctx, t); err != nil {
		return err
	}
	var unheard []ownercalls.Erased
	err = pg.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		for _, table := range accountTables {
			if _, err := tx.NewDelete().Table(table).Where("account_id = ?", t.AccountID).Exec(ctx); err != nil {
				return fmt.Errorf("erase from %s: %w", table, err)
			}
		}
		if err := s.webhooks.Erase(ctx, tx, t.UserID, t.AccountID); err != nil {
			return err
		}
		if unheard, err = s.ownerCalls.Erase(ctx, tx, t.UserID, t.AccountID, erased()); err != nil {
			return err
		}
		if err := eraseKeptRows(ctx, tx, t.AccountID); err != nil {
			return err
		}
		return t.Pass(ctx, tx, accounts.StageStreams, s.now(), s.now())
	})
	if err != nil {
		return err
	}
	for _, c := range unheard {
		s.replyErased(ctx, c.CommandID, c.OutcomeTo)
	}
	return nil
}

// replyErased tells whoever waits for a command. Who asks by its id hears the same.
func (s *Service) replyErased(ctx context.Context, id, outcomeTo string) {
	if err := s.bus.Reply(ctx, outcomeTo, events.Outcome{CommandID: id, Done: true, Fault: erased()}); err != nil {
		s.log.Warn("outcome not delivered", zap.String("command_id", id), errField(err))
	}
}

// erasePosts takes away posts on which nobody works, with what was tried for them and what their commands answered, and
// says how many there were.
func (s *Service) erasePosts(ctx context.Context, t accounts.Tombstone) (int, error) {
	var ids []string
	var awaited []commands.Command
	err := pg.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		ids, awaited = nil, nil
		erased, err := s.store.Erase(ctx, tx, t.AccountID, eraseBatch)
		if err != nil || len(erased) == 0 {
			return err
		}
		ids = erased
		err = tx.NewSelect().Model(&awaited).Where("post_id IN (?) AND outcome IS NULL", bun.List(ids)).Scan(ctx)
		if err != nil {
			return err
		}
		return forgetCommands(ctx, tx, t, s.now(), "post_id IN (?)", bun.List(ids))
	})
	if err != nil {
		return 0, fmt.Errorf("erase posts: %w", err)
	}
	for _, c := range awaited {
		s.replyErased(ctx, c.ID, c.OutcomeTo)
	}
	return len(ids), nil
}

// eraseCommands takes away what commands about the account itself have answered.
func (s *Service) eraseCommands(ctx context.Context, t accounts.Tombstone) error {
	return forgetCommands(ctx, s.db, t, s.now(), `user_id = ?
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

func erased() *events.Fault {
	return events.Faultf(events.NotFound, "This was erased with its account.")
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
