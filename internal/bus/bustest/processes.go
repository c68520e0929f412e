package bustest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/subprocess"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// nodeWord is the command that makes the test's binary a node of Processes: its instructions follow, as JSON.
const nodeWord = "node"

type nodeOptions struct {
	Name, Dir, Routes string
	Port, RoutePort   int
}

// ServeNode serves a node when this process was started as one, and says so. A package that uses Processes calls it first
// thing in its TestMain, and returns when it was one.
func ServeNode() bool {
	if !subprocess.Is() || len(os.Args) != 3 || os.Args[1] != nodeWord {
		return false
	}
	if err := serveNode(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

func serveNode(told string) error {
	var o nodeOptions
	if err := json.Unmarshal([]byte(told), &o); err != nil {
		return err
	}
	s, err := server.NewServer(&server.Options{
		ServerName: o.Name, Host: "127.0.0.1", Port: o.Port, JetStream: true, StoreDir: o.Dir, SyncAlways: true, NoSigs: true, NoLog: true,
		PingInterval: 5 * time.Second, MaxPingsOut: 2, // as nats.conf and cluster.conf
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: o.RoutePort, PingInterval: 2 * time.Second, MaxPingsOut: 2},
		Routes:  server.RoutesFromStr(o.Routes),
	})
	if err != nil {
		return err
	}
	s.Start()
	fmt.Println("nats://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)))
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test is gone
	s.Shutdown()
	return nil
}

// Processes is a cluster of three servers, each in a process of its own, so that one can stand still.
type Processes struct {
	t     testing.TB
	nodes map[string]*subprocess.Process
	urls  []string
}

// NewProcesses starts three servers; they end with the test.
func NewProcesses(t testing.TB) *Processes {
	t.Helper()
	const size = 3
	p := &Processes{t: t, nodes: map[string]*subprocess.Process{}}
	ports, dir := freePorts(t, 2*size), t.TempDir()
	var routes []string
	for i := range size {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[size+i]))
	}
	for i := range size {
		o := nodeOptions{Name: fmt.Sprintf("n%d", i+1), Port: ports[i], RoutePort: ports[size+i], Routes: strings.Join(routes, ",")}
		o.Dir = filepath.Join(dir, o.Name)
		told, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		node, err := subprocess.Serve(context.WithoutCancel(t.Context()), subprocess.Command{Words: []string{nodeWord, string(told)}, Log: os.Stderr})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(node.Kill)
		p.nodes[o.Name] = node
		p.urls = append(p.urls, node.URL)
	}
	return p
}

// Connect is a connection under a service's name, with everything declared three times over.
func (p *Processes) Connect(name string) *bus.Bus {
	p.t.Helper()
	b, err := bus.Connect(p.t.Context(), bus.Config{URL: strings.Join(p.urls, ","), Name: name, Log: Log(p.t)})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = b.Close(ctx)
	})
	waiting.Until(p.t, "the streams", func() bool {
		ctx, cancel := context.WithTimeout(p.t.Context(), waiting.Limit)
		defer cancel()
		return bus.Declare(ctx, b, bus.Topology{Replicas: len(p.nodes)}) == nil
	})
	return b
}

// Freeze stops a node as a suspended machine would stand: its kernel takes what is sent to it, and it never answers.
func (p *Processes) Freeze(name string) { p.node(name).Pause() }

// Thaw lets it go on as if nothing had been.
func (p *Processes) Thaw(name string) { p.node(name).Resume() }

func (p *Processes) node(name string) *subprocess.Process {
	p.t.Helper()
	node := p.nodes[name]
	if node == nil {
		p.t.Fatalf("there is no node %q", name)
	}
	return node
}
