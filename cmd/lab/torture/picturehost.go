package torture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// pictureHost is a tenant's web server. Slow, it holds every picture back; it is asked by the simulator, as Threads asks when
// a container is made, and by the publishers, which look at media for their authors.
type pictureHost struct {
	server *http.Server
	at     *net.TCPAddr

	mu    sync.Mutex
	held  chan struct{} // nil: it is quick
	delay time.Duration
	asked int // at the moment
	most  int // since it was made slow
}

func openPictureHost(ctx context.Context) (*pictureHost, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a port for pictures: %w", err)
	}
	at, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("open a port for pictures: it is at %s", l.Addr())
	}
	p := &pictureHost{at: at}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := p.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic(err) // a listener of our own
		}
	}()
	return p, nil
}

func (p *pictureHost) close() { _ = p.server.Close() }

// network and port are what the publishers must take for public.
func (p *pictureHost) network() string { return p.at.IP.String() + "/32" }
func (p *pictureHost) port() string    { return strconv.Itoa(p.at.Port) }

func (p *pictureHost) picture(n int) string { return fmt.Sprintf("http://%s/%d.jpg", p.at, n) }

// slow holds every answer back for so long, until the returned function is called. It tells how many were held at once.
func (p *pictureHost) slow(delay time.Duration) (quick func() (most int)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := make(chan struct{})
	p.held, p.delay, p.most = held, delay, 0
	return sync.OnceValue(func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.held = nil
		close(held)
		return p.most
	})
}

func (p *pictureHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked++
	p.most = max(p.most, p.asked)
	held, delay := p.held, p.delay
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.asked--
		p.mu.Unlock()
	}()
	if held != nil {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-held:
		case <-t.C:
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("Content-Type", "image/jpeg")
	_, _ = w.Write([]byte{0xff, 0xd8, 0xff, 0xe0}) // as much of a picture as anyone here looks at
}
