package live

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/testkit/waiting"
)

// Two users with ten slow clients each keep no third from reading what was missed.
func TestNobodyHasAllTurns(t *testing.T) {
	t.Parallel()
	all := newTurns()
	quiet := func() error { return nil }
	ctx, gone := context.WithCancel(t.Context())
	taken, ended := make(chan func(), 20), make(chan error, 20)
	for _, user := range []string{"ada", "eve"} {
		for range 10 {
			go func() {
				done, err := all.take(ctx, user, time.Hour, quiet)
				if err != nil {
					ended <- err
					return
				}
				taken <- done
			}()
		}
	}
	for range 2 * replaysPerUser {
		<-taken
	}
	waiting.Until(t, "all others wait in the lines of these two", func() bool {
		all.mu.Lock()
		defer all.mu.Unlock()
		return all.users["ada"] != nil && all.users["ada"].in == 10 && all.users["eve"] != nil && all.users["eve"].in == 10
	})
	done, err := all.take(ctx, "bob", time.Hour, quiet)
	if err != nil {
		t.Fatal(err)
	}
	done()
	if len(taken) != 0 || len(all.places) != 2*replaysPerUser {
		t.Errorf("%d more were given places, %d are taken", len(taken), len(all.places))
	}
	gone()
	for range 20 - 2*replaysPerUser {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if all.users["bob"] != nil || all.users["ada"].in != replaysPerUser {
		t.Errorf("%+v", all.users)
	}
}

// Who waits for a turn gives signs of life, and hears when the client is gone.
func TestWaitingForATurnBeats(t *testing.T) {
	t.Parallel()
	all := newTurns()
	for range replaysPerUser {
		if _, err := all.take(t.Context(), "ada", time.Hour, nil); err != nil {
			t.Fatal(err)
		}
	}
	left := errors.New("the client is gone")
	beats := 0
	_, err := all.take(t.Context(), "ada", time.Millisecond, func() error {
		if beats++; beats == 3 {
			return left
		}
		return nil
	})
	if !errors.Is(err, left) || beats != 3 {
		t.Errorf("%v after %d", err, beats)
	}
}
