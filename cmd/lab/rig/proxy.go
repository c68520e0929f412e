package rig

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// Proxy is a TCP proxy. It stands between everyone and Postgres at one address for the whole run, since the server behind it
// gets a new port with each start. It can be stalled, as when the machine behind it hangs: nothing passes, nothing breaks.
type Proxy struct {
	l net.Listener

	mu     sync.Mutex
	target string // empty: connections are refused
	held   chan struct{}
	conns  map[net.Conn]bool
}

func openProxy(ctx context.Context) (*Proxy, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a port for Postgres: %w", err)
	}
	p := &Proxy{l: l, conns: map[net.Conn]bool{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(ctx, c)
		}
	}()
	return p, nil
}

func (p *Proxy) addr() string { return p.l.Addr().String() }

// forward says where connections go from now on; nowhere, when the address is empty. Those that are open are cut.
func (p *Proxy) forward(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
	for c := range p.conns {
		_ = c.Close()
	}
}

// Stall holds everything that wants to pass until the returned function is called.
func (p *Proxy) Stall() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := make(chan struct{})
	p.held = held
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.held == held {
			p.held = nil
		}
		close(held)
	})
}

func (p *Proxy) holding() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

func (p *Proxy) serve(ctx context.Context, in net.Conn) {
	defer func() { _ = in.Close() }()
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	if target == "" {
		return
	}
	var dial net.Dialer
	out, err := dial.DialContext(ctx, "tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	p.mu.Lock()
	p.conns[in], p.conns[out] = true, true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, in)
		delete(p.conns, out)
	}()
	done := make(chan struct{}, 2)
	go p.pass(in, out, done)
	go p.pass(out, in, done)
	<-done
}

func (p *Proxy) pass(from, to net.Conn, done chan<- struct{}) {
	defer func() { done <- struct{}{} }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if held := p.holding(); held != nil {
			<-held
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) close() {
	_ = p.l.Close()
	p.forward("")
}
