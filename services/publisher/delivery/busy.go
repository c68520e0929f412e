package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
)

// A busy account is tried again a few times, within the time that a claim has before its call. Then the message comes again.
const (
	busyTries = 6
	busyPause = 5 * time.Millisecond // doubling
	busyAgain = 250 * time.Millisecond
)

// unlessBusy does again, a few times, what finds its account busy.
func unlessBusy(ctx context.Context, do func() error) error {
	err := do()
	for n, wait := 1, busyPause; errors.Is(err, posts.ErrAccountBusy) && n < busyTries && clock.Sleep(ctx, wait); n, wait = n+1, 2*wait {
		err = do()
	}
	return err
}
