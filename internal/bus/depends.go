package bus

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/outage"
)

// dependencies are what the handlers and answers of a process cannot work without, beside NATS.
type dependencies struct {
	mu     sync.Mutex
	checks map[*func(context.Context) error]struct{}
}

// dependencyAnswers is how long a dependency may take to show that it is well.
const dependencyAnswers = 2 * time.Second

// Depends names a dependency of the handlers and answers of this process until stop is called: check fails while it is
// away. What fails then says nothing about the message or the question that it failed for.
func (b *Bus) Depends(check func(context.Context) error) (stop func()) {
	d := &b.dependencies
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.checks == nil {
		d.checks = map[*func(context.Context) error]struct{}{}
	}
	d.checks[&check] = struct{}{}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.checks, &check)
	}
}

// outage reports whether err is for want of something that this process depends on. Errors that do not say so are weighed
// by asking the dependencies themselves.
func (b *Bus) outage(err error) bool {
	var f *events.Fault
	if errors.As(err, &f) && f.Code == events.Unavailable || outage.Is(err) || !b.nc.IsConnected() {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), dependencyAnswers)
	defer cancel()
	for _, check := range b.dependencies.all() {
		if check(ctx) != nil {
			return true
		}
	}
	return false
}

func (d *dependencies) all() (checks []func(context.Context) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for check := range d.checks {
		checks = append(checks, *check)
	}
	return checks
}
