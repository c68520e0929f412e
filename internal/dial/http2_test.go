package dial_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/dial"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// A connection of HTTP/2 whose other end fell silent is given up, and the next request finds a new one.
func TestHTTP2LeavesASilentPeer(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	transport, ok := server.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	var silent atomic.Bool
	transport.ForceAttemptHTTP2, transport.HTTP2 = true, dial.HTTP2()
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial.Dialer(time.Second).DialContext(ctx, network, addr)
		return &muted{Conn: c, silent: &silent}, err
	}
	get := func() (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), waiting.Limit) // ends a test that fails, and nothing else
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(req)
		if ctx.Err() != nil {
			t.Fatal("it is waited for without end")
		}
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		proto, err := io.ReadAll(resp.Body)
		return string(proto), err
	}
	if proto, err := get(); err != nil || proto != "HTTP/2.0" {
		t.Fatalf("%q, %v", proto, err)
	}
	silent.Store(true)
	if _, err := get(); err == nil {
		t.Error("it was answered")
	}
	silent.Store(false)
	if _, err := get(); err != nil {
		t.Error(err)
	}
}

// muted is a connection that takes what is sent, and brings nothing any more.
type muted struct {
	net.Conn
	silent *atomic.Bool
}

func (m *muted) Read(b []byte) (int, error) {
	for {
		n, err := m.Conn.Read(b)
		if err != nil || !m.silent.Load() {
			return n, err
		}
	}
}
