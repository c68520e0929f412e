package bus

import (
	"context"
	"fmt"
	"sync"
)

// gate lets work in until it is closed, and knows when the last is out. (A sync.WaitGroup must not be added to while it
// is waited for at zero, which is what closing does to work that is just coming in.)
type gate struct {
	mu     sync.Mutex
	inside int
	closed bool
	empty  chan struct{} // closed when the gate is closed and the last is out
}

func newGate() *gate { return &gate{empty: make(chan struct{})} }

// enter says whether the work may begin; then leave must follow.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.inside++
	}
	return !g.closed
}

// none says whether nothing is inside just now.
func (g *gate) none() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside == 0
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.closed && g.inside == 0 {
		close(g.empty)
	}
}

// shut closes the gate and waits for those inside until ctx ends. It is safe to call again.
func (g *gate) shut(ctx context.Context) error {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		if g.inside == 0 {
			close(g.empty)
		}
	}
	g.mu.Unlock()
	select {
	case <-g.empty:
		return nil
	default:
	}
	select {
	case <-g.empty:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("not everything was finished in time: %w", ctx.Err())
	}
}
