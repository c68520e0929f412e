// Package maintenance is the work of those who run the system: to pause an account and resume it, and to compare rows with
// EVENTS, the alarms and Threads.
package maintenance

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
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
)

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
	// Emitted: EVENTS has it. Else auth emits it as soon as it can.
	Emitted bool `json:"told"`
	// Queued are the account's posts that wait for their time, Overdue those of them whose time has passed.
	Queued  int `json:"queued"`
	Overdue int `json:"overdue"`
	// FirstMissed is when the first of them is given up: how late a post may be goes on counting.
	FirstMissed *time.Time `json:"firstMissed,omitempty"`
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
	if err := p.awaitCalls(ctx, accountID); err != nil {
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
	// What a crash left unemitted comes first, for its own sake; where that cannot be done, the pause must not wait for it.
	_ = accounts.EmitChange(ctx, p.DB, p.Bus.Emit, accountID)
	a, changed, err := change(ctx)
	if err != nil {
		return Pause{}, err
	}
	if !changed {
		if a, err = accounts.Get(ctx, p.DB, accountID); err != nil {
			return Pause{}, err
		}
	}
	emitErr := accounts.EmitChange(ctx, p.DB, p.Bus.Emit, accountID)
	return Pause{Account: a.Connection(), Already: !changed, Emitted: emitErr == nil}, nil
}

// awaitCalls waits until nobody is left who claimed a post of the account before it was paused and may still call Threads.
func (p Pauser) awaitCalls(ctx context.Context, accountID string) error {
	for {
		calls, err := posts.CountCalls(ctx, p.DB, accountID)
		if err != nil || calls == 0 {
			return err
		}
		if p.Progress != nil {
			p.Progress(calls)
		}
		if !clock.Sleep(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
	}
}

func (p Pauser) count(ctx context.Context, accountID string, out *Pause) error {
	n, err := posts.CountQueued(ctx, p.DB, accountID)
	out.Queued, out.Overdue, out.FirstMissed = n.Queued, n.Overdue, n.FirstMissed
	return err
}
