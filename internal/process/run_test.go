package process_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/process"
)

func TestRun(t *testing.T) {
	t.Parallel()

	t.Run("stops the last part first, each after the one behind it has returned", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var order journal
			part := func(name string) process.Part {
				return process.Part{Name: name, Run: func(ctx context.Context) error {
					<-ctx.Done()
					order.add(name + " hears")
					time.Sleep(time.Second) // what it has in hand; virtual time
					order.add(name + " returns")
					return ctx.Err()
				}}
			}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Minute, cancel)
			if err := process.Run(ctx, zap.NewNop(), part("a"), part("b")); err != nil {
				t.Fatal(err)
			}
			if want := []string{"b hears", "b returns", "a hears", "a returns"}; !slices.Equal(order.lines, want) {
				t.Errorf("order was %v", order.lines)
			}
		})
	})

	t.Run("stops the others when one fails, and says which", func(t *testing.T) {
		t.Parallel()
		stopped := false
		err := process.Run(t.Context(), zap.NewNop(),
			process.Part{Name: "steady", Run: func(ctx context.Context) error { <-ctx.Done(); stopped = true; return nil }},
			process.Part{Name: "weak", Run: func(context.Context) error { return errBroken }},
		)
		if !errors.Is(err, errBroken) || strings.Count(err.Error(), "weak: broken") != 1 || !stopped {
			t.Fatalf("%v, stopped %v", err, stopped)
		}
	})

	t.Run("goes on when a part is done early", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan struct{})
		err := process.Run(ctx, zap.NewNop(),
			process.Part{Name: "brief", Run: func(context.Context) error { close(done); return nil }},
			process.Part{Name: "steady", Run: func(own context.Context) error {
				<-done
				if own.Err() != nil {
					return errBroken
				}
				cancel()
				<-own.Done()
				return nil
			}},
		)
		if err != nil {
			t.Fatal(err)
		}
	})

	t.Run("leaves a part behind that does not stop, and names it", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			free := make(chan struct{})
			err := process.Run(ctx, zap.NewNop(), process.Part{
				Name: "stuck", StopWithin: time.Minute, Run: func(context.Context) error { <-free; return nil },
			})
			close(free)
			if err == nil || err.Error() != "stuck did not stop within 1m0s" {
				t.Fatal(err)
			}
		})
	})
}

var errBroken = errors.New("broken")

type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}
