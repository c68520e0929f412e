package torture

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/omni-write/threads/internal/crash"
)

// worker is a place for one publisher process. Whenever the process ends, it is started again, as any supervisor does.
type worker struct {
	h    *house
	name string
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	now     *child
	crashAt string        // for the next start only
	ahead   time.Duration // of its machine's clock

	starts, crashes atomic.Int64
}

// hire makes the crew that many.
func (h *house) hire(ctx context.Context, n int) error {
	for len(h.crew) > n {
		h.crew[len(h.crew)-1].retire()
		h.crew = h.crew[:len(h.crew)-1]
	}
	for len(h.crew) < n {
		ctx, stop := context.WithCancel(h.ctx)
		p := &worker{h: h, name: fmt.Sprintf("publisher-%d", len(h.crew)+1), stop: stop, done: make(chan struct{})}
		h.crew = append(h.crew, p)
		go p.keep(ctx)
	}
	return h.allReady(ctx)
}

// allReady waits until every publisher may be relied on.
func (h *house) allReady(ctx context.Context) error {
	return within(ctx, time.Minute, "the publishers", func(ctx context.Context) error {
		for _, p := range h.crew {
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
			pause(ctx, 300*time.Millisecond)
			continue
		}
		select {
		case <-c.ended:
			p.crashes.Add(1)
			pause(ctx, 200*time.Millisecond)
		case <-ctx.Done():
			c.stop()
		}
	}
}

func (p *worker) start(ctx context.Context) (*child, error) {
	log, err := p.h.logOf(p.name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	p.mu.Lock()
	env := make([]string, 0, 32)
	for name, v := range p.h.env() {
		env = append(env, name+"="+v)
	}
	env = append(env, "DATABASE_URL="+p.databaseURL(), crash.Env+"="+p.crashAt)
	p.crashAt = ""
	ahead := p.ahead
	p.mu.Unlock()
	// Not under ctx: a publisher that is let go finishes what it has in hand.
	c, err := spawn(context.WithoutCancel(ctx), env, log, wordPublisher, "-ahead", ahead.String())
	if err != nil {
		return nil, err
	}
	p.starts.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = c
	p.tellClock() // it may have been set meanwhile
	return c, nil
}

// databaseURL lets Postgres know the worker's connections by its name.
func (p *worker) databaseURL() string {
	u, err := url.Parse(p.h.dbURL)
	if err != nil {
		return p.h.dbURL // whoever opens it says what is wrong with it
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
		p.tellClock()
	}
}

func (p *worker) tellClock() {
	_, _ = fmt.Fprintln(p.now.stdin, p.ahead) // a process that is gone is told when it starts again
}

func (p *worker) current() *child {
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
		c.kill()
	}
}

// freeze stops the process for some time.
func (p *worker) freeze(ctx context.Context, d time.Duration) {
	if c := p.current(); c != nil {
		c.pause()
		pause(ctx, d)
		c.resume()
	}
}

func (p *worker) retire() {
	if c := p.current(); c != nil {
		c.resume()
	}
	p.stop()
	<-p.done
}

func (p *worker) ready(ctx context.Context) error {
	c := p.current()
	if c == nil || !c.alive() {
		return errNotYet
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}
