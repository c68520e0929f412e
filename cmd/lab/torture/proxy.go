package torture

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// door stands between everyone and Postgres at one address for the whole run: the server behind it gets a new port with each
// start. It can be stalled, as when the machine behind it hangs: nothing passes, nothing breaks.
type door struct {
	l net.Listener

	mu     sync.Mutex
	target string // empty: nobody is behind it
	held   chan struct{}
	conns  map[net.Conn]bool
}

func openDoor(ctx context.Context) (*door, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a port for Postgres: %w", err)
	}
	d := &door{l: l, conns: map[net.Conn]bool{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go d.serve(ctx, c)
		}
	}()
	return d, nil
}

func (d *door) addr() string { return d.l.Addr().String() }

// lead says who is behind the door from now on; nobody, when the address is empty. Who came through before is cut off.
func (d *door) lead(target string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.target = target
	for c := range d.conns {
		_ = c.Close()
	}
}

// stall holds everything that wants to pass until the returned function is called.
func (d *door) stall() (release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	held := make(chan struct{})
	d.held = held
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.held == held {
			d.held = nil
		}
		close(held)
	})
}

func (d *door) holding() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held
}

func (d *door) serve(ctx context.Context, in net.Conn) {
	defer func() { _ = in.Close() }()
	d.mu.Lock()
	target := d.target
	d.mu.Unlock()
	if target == "" {
		return
	}
	var dial net.Dialer
	out, err := dial.DialContext(ctx, "tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	d.mu.Lock()
	d.conns[in], d.conns[out] = true, true
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.conns, in)
		delete(d.conns, out)
	}()
	done := make(chan struct{}, 2)
	go d.pass(in, out, done)
	go d.pass(out, in, done)
	<-done
}

func (d *door) pass(from, to net.Conn, done chan<- struct{}) {
	defer func() { done <- struct{}{} }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if held := d.holding(); held != nil {
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

func (d *door) close() {
	_ = d.l.Close()
	d.lead("")
}
