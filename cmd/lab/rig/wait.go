package rig

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/omni-write/threads/internal/clock"
)

// ErrNotYet says that what is waited for has not happened.
var ErrNotYet = errors.New("not yet")

// Within asks again until check is content, or the time is over.
func Within(ctx context.Context, d time.Duration, what string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	last := ErrNotYet
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err // what the end of the time does to a check says nothing
		}
		if !clock.Sleep(ctx, 50*time.Millisecond) {
			return fmt.Errorf("waited %s in vain for %s: %w", d, what, last)
		}
	}
}
