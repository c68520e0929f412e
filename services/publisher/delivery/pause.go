package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
)

// Those who run the system may pause an account (package maintenance). Its posts are prepared as ever; the claim, which is
// made under the account's row lock, is what finds the account paused. So once the pause is committed and the calls
// claimed before it are over, nothing is published until the account is resumed.

// pausedLook is how often a post of a paused account is looked at anyway; that the account is resumed wakes it at once.
const pausedLook = time.Hour

// paused lets a post wait until its account is resumed.
func (w *waits) paused(ctx context.Context, was *posts.Post, a accounts.Account) error {
	if err := w.postpone(ctx, was, pausedFault(a), w.now().Add(pausedLook)); err != nil {
		return err
	}
	// Whoever resumed the account meanwhile may have looked for posts to wake before this one waited.
	now, err := accounts.Get(ctx, w.db, a.ID)
	if errors.Is(err, pg.ErrNotFound) || err == nil && now.Paused() {
		return nil
	}
	if err != nil {
		return err
	}
	return w.projector.WakePaused(ctx, w.db, a.ID)
}

// stillPaused says whether a post that waits for its account to be resumed has to go on waiting.
func (w *waits) stillPaused(ctx context.Context, p *posts.Post) (a accounts.Account, paused bool, err error) {
	if p.Reason == nil || p.Reason.Code != events.Paused {
		return a, false, nil
	}
	account, err := batch.Fetch(ctx, w.accountReads, p.AccountID)
	if err != nil {
		return a, false, err
	}
	return *account, account.Paused(), nil
}

// resume takes a waiting post up again, where its container allows.
func (w *waits) resume(ctx context.Context, old *posts.Post) (end, error) {
	if w.now().After(old.Expires()) {
		return w.missed(ctx, old)
	}
	if old.Doubt { // of a release before this one: a post in doubt waits as unconfirmed
		return moved, w.doubts.unconfirmed(ctx, old, posts.AbsentRetry, unclearAnswer())
	}
	if a, paused, err := w.stillPaused(ctx, old); err != nil || paused {
		if err != nil {
			return 0, err
		}
		return moved, w.paused(ctx, old, a)
	}
	return moved, w.moves.save(ctx, old, old.Resume(w.now()), "")
}
