package ownercalls

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
)

// One account's flood has few slots, and gets through all the same.
func TestCallsPerAccount(t *testing.T) {
	t.Parallel()
	sys := setup(t)
	s := sys.service()
	var mu sync.Mutex
	at, most, done := 0, 0, 0
	full := make(chan struct{})
	open := sync.OnceFunc(func() { close(full) })
	var wg sync.WaitGroup
	for range 3 * callsPerAccount {
		wg.Go(func() {
			_, err := Do(t.Context(), s, sys.account, "", func(context.Context, Access) (int, error) {
				mu.Lock()
				at++
				most = max(most, at)
				if at == callsPerAccount {
					open()
				}
				mu.Unlock()
				<-full // the first wait for each other
				mu.Lock()
				defer mu.Unlock()
				at--
				done++
				return 0, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most != callsPerAccount || done != 3*callsPerAccount {
		t.Errorf("%d at once, want %d; %d got through", most, callsPerAccount, done)
	}
}

// While Threads hangs, no more than a bounded number of calls wait for it.
func TestCallsInHand(t *testing.T) {
	t.Parallel()
	sys := setup(t)
	s := sys.service()
	ctx, hangUp := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range callsInHand {
		wg.Go(func() {
			_, _ = Do(ctx, s, sys.account, "", func(ctx context.Context, _ Access) (int, error) {
				<-ctx.Done()
				return 0, ctx.Err()
			})
		})
	}
	for len(s.slots.inHand) < callsInHand {
		clock.Sleep(t.Context(), time.Millisecond)
	}
	one := func() error {
		_, err := Do(t.Context(), s, sys.account, "", func(context.Context, Access) (int, error) { return 0, nil })
		return err
	}
	if err := one(); !errors.Is(err, &events.Fault{Code: events.Unavailable}) {
		t.Errorf("one more is told %v", err)
	}
	hangUp()
	wg.Wait()
	if err := one(); err != nil || len(s.slots.inHand) != 0 {
		t.Errorf("afterwards: %v, %d in hand", err, len(s.slots.inHand))
	}
}
