package publisher

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/omni-write/threads/internal/commands"
)

// RetentionConfig is how long the publisher keeps what grows with every post and is of use for a while only.
type RetentionConfig struct {
	// CommandsKept is how long it is kept what became of a command, and with it an Idempotency-Key, after its end. 0: for
	// ever, otherwise at least 24h, which docs/api.md promises.
	CommandsKept time.Duration `env:"PUBLISHER_COMMANDS_KEPT" envDefault:"720h"`
	// AttemptsKept is how long the log of what was tried for a post is kept after its last change, once it is final.
	// 0: for ever.
	AttemptsKept time.Duration `env:"PUBLISHER_ATTEMPTS_KEPT" envDefault:"2160h"`
}

// keysPromised is how long an Idempotency-Key is good at least.
const keysPromised = 24 * time.Hour

func (c RetentionConfig) retentionMistakes() (wrong []error) {
	if c.CommandsKept != 0 && c.CommandsKept < keysPromised {
		wrong = append(wrong, fmt.Errorf("PUBLISHER_COMMANDS_KEPT must be 0, or at least %s", keysPromised))
	}
	if c.AttemptsKept < 0 {
		wrong = append(wrong, fmt.Errorf("PUBLISHER_ATTEMPTS_KEPT must not be less than 0"))
	}
	return wrong
}

const (
	// forgetStep is how many rows one sweep forgets at most, of each table: what is due is years behind nobody's back, and the
	// sweep has posts to wake.
	forgetStep = 1000
	// forgetAgain is when attempts are gone through again after a round: those of posts that were not final may be by then.
	forgetAgain = time.Hour
)

// forgetCommands forgets some of the commands that ended long ago. One that is pending is kept, however old.
func (w *sweeper) forgetCommands(ctx context.Context) (int, error) {
	if w.cfg.CommandsKept == 0 {
		return 0, nil
	}
	return 0, commands.Forget(ctx, w.db, w.now().Add(-w.cfg.CommandsKept), forgetStep)
}

// forgetting is how far a round through the attempts has come.
type forgetting struct {
	mu    sync.Mutex
	after int64
	next  time.Time // when the next round begins; past while one is under way
}

// forgetAttempts forgets some of the attempts of posts that have been final for long, in the order in which they were noted.
// Older ones whose post is not final are passed over, so that they never fill a step.
func (w *sweeper) forgetAttempts(ctx context.Context) (int, error) {
	w.forgetting.mu.Lock()
	defer w.forgetting.mu.Unlock()
	now := w.now()
	if w.cfg.AttemptsKept == 0 || now.Before(w.forgetting.next) {
		return 0, nil
	}
	step, err := w.store.ForgetAttempts(ctx, w.forgetting.after, forgetStep, now.Add(-w.cfg.AttemptsKept))
	if err != nil {
		return 0, err
	}
	w.forgetting.after = step.Last
	if step.Old < forgetStep { // here they begin to be young: the round is through
		w.forgetting.after, w.forgetting.next = 0, now.Add(forgetAgain)
	}
	return 0, nil
}
