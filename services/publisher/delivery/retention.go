package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/posts"
)

const (
	// forgetStep is how many rows one sweep forgets at most, of each table: what is due is years behind nobody's back, and the
	// sweep has posts to wake.
	forgetStep = 1000
	// forgetAgain is when attempts are gone through again after a round: those of posts that were not final may be by then.
	forgetAgain = time.Hour
)

// retention forgets what is of no more use.
type retention struct {
	cfg   RetentionConfig
	db    *bun.DB
	store *posts.Store
	now   func() time.Time

	// How far a round through the attempts has come.
	mu    sync.Mutex
	after int64
	next  time.Time // when the next round begins; past while one is under way
}

// forgetCommands forgets some of the commands that ended long ago. One that is pending is kept, however old.
func (r *retention) forgetCommands(ctx context.Context) (int, error) {
	if r.cfg.CommandsKept == 0 {
		return 0, nil
	}
	return 0, commands.Forget(ctx, r.db, r.now().Add(-r.cfg.CommandsKept), forgetStep)
}

// forgetAttempts forgets some of the attempts of posts that have been final for long, in the order in which they were noted.
// Older ones whose post is not final are passed over, so that they never fill a step.
func (r *retention) forgetAttempts(ctx context.Context) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if r.cfg.AttemptsKept == 0 || now.Before(r.next) {
		return 0, nil
	}
	step, err := r.store.ForgetAttempts(ctx, r.after, forgetStep, now.Add(-r.cfg.AttemptsKept))
	if err != nil {
		return 0, err
	}
	r.after = step.Last
	if step.Old < forgetStep { // here they begin to be young: the round is through
		r.after, r.next = 0, now.Add(forgetAgain)
	}
	return 0, nil
}

func (r *retention) forgetOldUses(ctx context.Context) (int, error) {
	return 0, r.store.ForgetQuotaUses(ctx, r.now())
}
