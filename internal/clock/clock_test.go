package clock_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/omni-write/threads/internal/clock"
)

func TestSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if !clock.Sleep(t.Context(), time.Hour) || time.Since(began) != time.Hour {
			t.Errorf("an hour took %s", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if clock.Sleep(ctx, time.Hour) || time.Since(began) != time.Hour+time.Minute {
			t.Errorf("it slept on after its context had ended: %s", time.Since(began))
		}
	})
}
