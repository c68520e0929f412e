package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// Part is one thing that a process does all its life. Run blocks until ctx ends, finishes what it has in hand and
// returns nil; an error, or returning earlier with one, ends the process. A part that is done early returns nil and
// leaves the others running.
type Part struct {
	Name string
	Run  func(ctx context.Context) error
	// StopWithin is how long Run may take to return once ctx has ended. 0 means 15 s.
	StopWithin time.Duration
}

const stopWithin = 15 * time.Second

// Run runs all parts together until ctx ends or one of them fails. Then it stops them one by one, the last first: a part
// may rely on those before it until it has returned. It returns what made it stop (nil when ctx ended) joined with what
// went wrong while stopping; a part that does not stop in its time is left behind and named.
func Run(ctx context.Context, log *zap.Logger, parts ...Part) error {
	running := make([]*runningPart, len(parts))
	done := make(chan *runningPart, len(parts))
	for i, p := range parts {
		running[i] = start(ctx, p, done)
	}
	var failed error
	for left := len(parts); left > 0 && failed == nil && ctx.Err() == nil; {
		select {
		case r := <-done:
			left--
			if failed = r.failure(); failed != nil {
				log.Error("stopping, because a part failed", zap.String("part", r.Name), zap.Error(r.err))
			}
		case <-ctx.Done():
			log.Info("stopping")
		}
	}
	for i := len(running) - 1; i >= 0; i-- {
		failed = errors.Join(failed, running[i].halt(failed))
	}
	return failed
}

type runningPart struct {
	Part
	stop     context.CancelFunc
	returned chan struct{}
	err      error // set before returned is closed
}

func start(ctx context.Context, p Part, done chan<- *runningPart) *runningPart {
	// Not a child of ctx's cancellation: each part hears of the end when its turn has come.
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &runningPart{Part: p, stop: stop, returned: make(chan struct{})}
	go func() {
		r.err = p.Run(own)
		close(r.returned)
		done <- r
	}()
	return r
}

// failure is the error of a part that has returned. A part may return the end of its own context as an error.
func (r *runningPart) failure() error {
	if r.err == nil || errors.Is(r.err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("%s: %w", r.Name, r.err)
}

// halt stops the part and waits for it. It does not repeat a failure that is told already.
func (r *runningPart) halt(told error) error {
	r.stop()
	limit := r.StopWithin
	if limit == 0 {
		limit = stopWithin
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-r.returned:
		if r.err != nil && errors.Is(told, r.err) {
			return nil
		}
		return r.failure()
	case <-late.C:
		return fmt.Errorf("%s did not stop within %s", r.Name, limit)
	}
}
