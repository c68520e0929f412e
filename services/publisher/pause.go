package publisher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
)

// Those who run the system may hold back the posts of an account. Its posts are prepared as ever; the claim, which is
// made under the account's row lock, is what finds the account paused. So once the pause is committed and the calls
// claimed before it are over, nothing is published until the account is resumed.

// pausedLook is how often a post of a paused account is looked at anyway; that the account is resumed wakes it at once.
const pausedLook = time.Hour

func pausedFault(a accounts.Account) *events.Fault {
	why := ""
	if a.PauseReason != "" {
		why = " (" + a.PauseReason + ")"
	}
	return events.Faultf(events.Paused, "The posts of this account are paused for now%s; this one goes out when they are resumed.", why)
}

// paused lets a post wait until its account is resumed.
func (s *Service) paused(ctx context.Context, was *posts.Post, a accounts.Account) error {
	if err := s.postpone(ctx, was, pausedFault(a), s.now().Add(pausedLook)); err != nil {
		return err
	}
	// Whoever resumed the account meanwhile may have looked for posts to wake before this one waited.
	now, err := accounts.Get(ctx, s.db, a.ID)
	if errors.Is(err, pg.ErrNotFound) || err == nil && now.Paused() {
		return nil
	}
	if err != nil {
		return err
	}
	return s.projector.WakePaused(ctx, s.db, a.ID)
}

// stillPaused says whether a post that waits for its account to be resumed has to go on waiting.
func (s *Service) stillPaused(ctx context.Context, p *posts.Post) (a accounts.Account, paused bool, err error) {
	if p.Reason == nil || p.Reason.Code != events.Paused {
		return a, false, nil
	}
	account, err := batch.Fetch(ctx, s.accountReads, p.AccountID)
	if err != nil {
		return a, false, err
	}
	return *account, account.Paused(), nil
}

// Pauser pauses and resumes accounts, for those who run the system.
type Pauser struct {
	Bus      *bus.Bus
	DB       *bun.DB
	Progress func(calls int64) // called while calls made before the pause are waited for; may be nil
}

// Pause is how the pausing of an account stands.
type Pause struct {
	Account events.Connection `json:"account"`
	// Already: it was paused, or resumed, before.
	Already bool `json:"already"`
	// Told: EVENTS has it. Else auth tells it as soon as it can.
	Told bool `json:"told"`
	// Queued are the account's posts that wait for their time, Overdue those of them whose time has passed.
	Queued  int `bun:"queued" json:"queued"`
	Overdue int `bun:"overdue" json:"overdue"`
	// FirstMissed is when the first of them is given up: how late a post may be goes on counting.
	FirstMissed *time.Time `bun:"first_missed" json:"firstMissed,omitempty"`
}

const maxPauseReason = 200

// Pause holds back an account's posts. When it returns without an error no call of its posts is on its way, and none is made
// until Resume. Ended before that, the account is paused all the same.
func (p Pauser) Pause(ctx context.Context, accountID, reason string) (Pause, error) {
	reason = strings.TrimSpace(reason)
	if utf8.RuneCountInString(reason) > maxPauseReason || !utf8.ValidString(reason) || strings.ContainsFunc(reason, unicode.IsControl) {
		return Pause{}, fmt.Errorf("a reason is one line of at most %d characters", maxPauseReason)
	}
	out, err := p.change(ctx, accountID, func(ctx context.Context) (accounts.Account, bool, error) {
		return accounts.Pause(ctx, p.DB, accountID, reason, time.Now())
	})
	if err != nil {
		return out, err
	}
	if out.Account.PausedAt == nil {
		return out, fmt.Errorf("account %s is disconnected; nothing of it is published anyway", accountID)
	}
	if err := p.settle(ctx, accountID); err != nil {
		return out, fmt.Errorf("the account is paused, but posts that were claimed before may still go out: %w", err)
	}
	return out, p.count(ctx, accountID, &out)
}

// Resume lets an account's posts go out again; those that waited are looked at at once.
func (p Pauser) Resume(ctx context.Context, accountID string) (Pause, error) {
	out, err := p.change(ctx, accountID, func(ctx context.Context) (accounts.Account, bool, error) {
		return accounts.Resume(ctx, p.DB, accountID, time.Now())
	})
	if err != nil {
		return out, err
	}
	return out, p.count(ctx, accountID, &out)
}

func (p Pauser) change(ctx context.Context, accountID string, change func(context.Context) (accounts.Account, bool, error)) (Pause, error) {
	_, err := accounts.Get(ctx, p.DB, accountID)
	if errors.Is(err, pg.ErrNotFound) {
		return Pause{}, fmt.Errorf("there is no account %s", accountID)
	}
	if err != nil {
		return Pause{}, err
	}
	// What a crash left untold is told first, for its own sake; where that cannot be done, the pause must not wait for it.
	_ = accounts.Tell(ctx, p.DB, p.Bus.Emit, accountID)
	a, changed, err := change(ctx)
	if err != nil {
		return Pause{}, err
	}
	if !changed {
		if a, err = accounts.Get(ctx, p.DB, accountID); err != nil {
			return Pause{}, err
		}
	}
	told := accounts.Tell(ctx, p.DB, p.Bus.Emit, accountID)
	return Pause{Account: a.Connection(), Already: !changed, Told: told == nil}, nil
}

// settle waits until nobody is left who claimed a post of the account before it was paused and may still call Threads. A
// claim without a lease makes no call any more.
func (p Pauser) settle(ctx context.Context, accountID string) error {
	for {
		calls, err := p.DB.NewSelect().Model((*posts.Post)(nil)).
			Where("account_id = ? AND state = ? AND lease_until > now()", accountID, events.StatePublishing).Count(ctx)
		if err != nil {
			return fmt.Errorf("look for calls on their way: %w", err)
		}
		if calls == 0 {
			return nil
		}
		if p.Progress != nil {
			p.Progress(calls)
		}
		if !pause(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
	}
}

func (p Pauser) count(ctx context.Context, accountID string, out *Pause) error {
	err := p.DB.NewRaw(`SELECT count(*) AS queued, count(*) FILTER (WHERE publish_at < now()) AS overdue,
			min(publish_at + publish_within * interval '1 second') AS first_missed
		FROM posts WHERE account_id = ? AND state IN ('scheduled', 'ready', 'waiting')`, accountID).
		Scan(ctx, &out.Queued, &out.Overdue, &out.FirstMissed)
	if err != nil {
		return fmt.Errorf("count the account's posts: %w", err)
	}
	return nil
}
