package bustest

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/bus/natsd"
)

// Node is a server that can be stopped and started again on the same directory and port. Connections survive it, as they
// do in production.
type Node struct {
	t    testing.TB
	dir  string
	port int

	mu     sync.Mutex
	server *natsd.Server // nil while stopped
}

// NewNode starts a server on dir; it stops with the test.
func NewNode(t testing.TB, dir string) *Node {
	t.Helper()
	n := &Node{t: t, dir: dir, port: -1}
	n.Start()
	t.Cleanup(n.Stop)
	return n
}

// URL is where clients connect, the same after a restart.
func (n *Node) URL() string {
	return (&url.URL{Scheme: "nats", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port))}).String()
}

// Start starts the server, unless it runs.
func (n *Node) Start() {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server != nil {
		return
	}
	s, err := natsd.Start(natsd.Options{StoreDir: n.dir, Host: "127.0.0.1", Port: n.port, Log: zap.NewNop()})
	if err != nil {
		n.t.Fatal(err)
	}
	u, err := url.Parse(s.ClientURL())
	if err != nil {
		n.t.Fatal(err)
	}
	if n.port, err = strconv.Atoi(u.Port()); err != nil {
		n.t.Fatal(err)
	}
	n.server = s
}

// Stop stops the server, unless it is stopped.
func (n *Node) Stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server != nil {
		if err := n.server.Close(); err != nil {
			n.t.Error(err)
		}
		n.server = nil
	}
}

// Restart stops the server and starts it again.
func (n *Node) Restart() {
	n.t.Helper()
	n.Stop()
	n.Start()
}

// InProcessConn makes Node what a bus connects to without a socket.
func (n *Node) InProcessConn() (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server == nil {
		return nil, errors.New("the server is stopped")
	}
	return n.server.InProcessConn()
}
