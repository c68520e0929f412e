package rig

import (
	"bufio"
	"context"
	"io"
	"sync/atomic"
	"time"
)

// setClock is a machine's clock that somebody sets. It shows wall time only: the monotonic clock of a machine is never set.
type setClock struct{ ahead atomic.Int64 }

func (c *setClock) set(ahead time.Duration) { c.ahead.Store(int64(ahead)) }

func (c *setClock) now() time.Time {
	return time.Now().Round(0).Add(time.Duration(c.ahead.Load()))
}

// obey sets the clock to what each line says, and ends ctx with the lines.
func (c *setClock) obey(ctx context.Context, in io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		for lines := bufio.NewScanner(in); lines.Scan(); {
			if ahead, err := time.ParseDuration(lines.Text()); err == nil {
				c.set(ahead)
			}
		}
	}()
	return ctx, cancel
}
