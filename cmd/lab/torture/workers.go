package torture

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/omni-write/threads/cmd/lab/rig"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/subprocess"
)

// worker is a place for one publisher process. Whenever the process ends, it is started again, as any supervisor does.
type worker struct {
	env    *env
	name   string
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	now     *subprocess.Process
	crashAt string        // for the next start only
	ahead   time.Duration // of its machine's clock

	starts, crashes atomic.Int64
}

// setWorkers starts and stops workers until there are that many.
func (e *env) setWorkers(ctx context.Context, n int) error {
	for len(e.workers) > n {
		e.workers[len(e.workers)-1].stop()
		e.workers = e.workers[:len(e.workers)-1]
	}
	for len(e.workers) < n {
		ctx, cancel := context.WithCancel(e.ctx)
		p := &worker{env: e, name: fmt.Sprintf("publisher-%d", len(e.workers)+1), cancel: cancel, done: make(chan struct{})}
		e.workers = append(e.workers, p)
		go p.keep(ctx)
	}
	return e.allReady(ctx)
}

// allReady waits until every publisher may be relied on.
func (e *env) allReady(ctx context.Context) error {
	return rig.Within(ctx, time.Minute, "the publishers", func(ctx context.Context) error {
		for _, p := range e.workers {
			if err := p.ready(ctx); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		return nil
	})
}

// keep starts the process again and again.
func (p *worker) keep(ctx context.Context) {
	defer close(p.done)
	for ctx.Err() == nil {
		c, err := p.start(ctx)
		if err != nil {
			p.crashes.Add(1)
			clock.Sleep(ctx, 300*time.Millisecond)
			continue
		}
		select {
		case <-c.Ended():
			p.crashes.Add(1)
			clock.Sleep(ctx, 200*time.Millisecond)
		case <-ctx.Done():
			c.Stop()
		}
	}
}

func (p *worker) start(ctx context.Context) (*subprocess.Process, error) {
	p.mu.Lock()
	env := p.env.Env("DATABASE_URL="+p.databaseURL(), crash.Env+"="+p.crashAt)
	p.crashAt = ""
	ahead := p.ahead
	p.mu.Unlock()
	// Not under ctx: a publisher that is stopped finishes what it has in hand.
	c, err := p.env.StartPart(context.WithoutCancel(ctx), p.name, env, rig.PartPublisher, "--ahead", ahead.String())
	if err != nil {
		return nil, err
	}
	p.starts.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = c
	c.Tell(p.ahead.String()) // it may have been set meanwhile
	return c, nil
}

// databaseURL lets Postgres know the worker's connections by its name.
func (p *worker) databaseURL() string {
	u, err := url.Parse(p.env.DatabaseURL)
	if err != nil {
		return p.env.DatabaseURL // whoever opens it says what is wrong with it
	}
	q := u.Query()
	q.Set("application_name", p.name)
	u.RawQuery = q.Encode()
	return u.String()
}

// setClock sets the clock of the worker's machine, by so much ahead of true time.
func (p *worker) setClock(ahead time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ahead = ahead
	if p.now != nil {
		p.now.Tell(p.ahead.String()) // a process that has ended is told when it starts again
	}
}

func (p *worker) current() *subprocess.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// kill is kill -9. With a point, the next process dies there by itself, if it comes to it.
func (p *worker) kill(point string) {
	p.mu.Lock()
	p.crashAt = point
	c := p.now
	p.mu.Unlock()
	if c != nil {
		c.Kill()
	}
}

// freeze stops the process for some time.
func (p *worker) freeze(ctx context.Context, d time.Duration) {
	if c := p.current(); c != nil {
		c.Pause()
		clock.Sleep(ctx, d)
		c.Resume()
	}
}

// stop lets the process finish what it has in hand, and starts no other.
func (p *worker) stop() {
	if c := p.current(); c != nil {
		c.Resume()
	}
	p.cancel()
	<-p.done
}

func (p *worker) ready(ctx context.Context) error {
	c := p.current()
	if c == nil || !c.Alive() {
		return rig.ErrNotYet
	}
	return c.Ready(ctx)
}
