package bustest

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// Cluster is several servers that keep every stream together. Each can be killed and started again.
type Cluster struct {
	t     testing.TB
	nodes []*clusterNode
}

type clusterNode struct {
	options *server.Options
	server  *server.Server // nil while it is dead
}

// NewCluster starts a cluster of three; it stops with the test.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	const size = 3
	c := &Cluster{t: t}
	var routes []string
	ports := freePorts(t, 2*size)
	for i := range size {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[size+i]))
	}
	dir := t.TempDir()
	for i := range size {
		name := fmt.Sprintf("n%d", i+1)
		c.nodes = append(c.nodes, &clusterNode{options: &server.Options{
			ServerName: name, Host: "127.0.0.1", Port: ports[i], JetStream: true, StoreDir: filepath.Join(dir, name), SyncAlways: true,
			NoSigs: true, NoLog: true,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[size+i]},
			Routes:  server.RoutesFromStr(strings.Join(routes, ",")),
		}})
	}
	for i := range c.nodes {
		c.Start(c.nodes[i].options.ServerName)
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			if n.server != nil {
				n.server.Shutdown()
				n.server.WaitForShutdown()
			}
		}
	})
	waiting.Until(c.t, "a leader of the cluster", func() bool {
		for _, n := range c.nodes {
			if n.server != nil && n.server.JetStreamIsLeader() && len(n.server.JetStreamClusterPeers()) == size {
				return true
			}
		}
		return false
	})
	return c
}

// URL names all servers.
func (c *Cluster) URL() string {
	var urls []string
	for _, n := range c.nodes {
		urls = append(urls, "nats://"+net.JoinHostPort(n.options.Host, strconv.Itoa(n.options.Port)))
	}
	return strings.Join(urls, ",")
}

// Connect is a connection to the cluster under a service's name, with everything declared three times over.
func (c *Cluster) Connect(name string) *bus.Bus {
	c.t.Helper()
	b, err := bus.Connect(c.t.Context(), bus.Config{URL: c.URL(), Name: name, Log: Log(c.t)})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = b.Close(ctx)
	})
	waiting.Until(c.t, "the streams", func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), waiting.Limit)
		defer cancel()
		return bus.Declare(ctx, b, bus.Topology{Replicas: len(c.nodes)}) == nil
	})
	return b
}

// Names are those of its servers, by their addresses.
func (c *Cluster) Names() map[string]string {
	names := map[string]string{}
	for _, n := range c.nodes {
		names[net.JoinHostPort(n.options.Host, strconv.Itoa(n.options.Port))] = n.options.ServerName
	}
	return names
}

// Leader is the server that leads a stream.
func (c *Cluster) Leader(b *bus.Bus, stream string) (name string) {
	c.t.Helper()
	waiting.Until(c.t, "a leader of "+stream, func() bool {
		s, err := b.JetStream().Stream(c.t.Context(), stream)
		if err != nil || s.CachedInfo().Cluster == nil {
			return false
		}
		name = s.CachedInfo().Cluster.Leader
		return name != ""
	})
	return name
}

// Kill stops a server at once.
func (c *Cluster) Kill(name string) {
	for _, n := range c.nodes {
		if n.options.ServerName == name && n.server != nil {
			n.server.Shutdown()
			n.server.WaitForShutdown()
			n.server = nil
		}
	}
}

// Start starts a server, again after Kill.
func (c *Cluster) Start(name string) {
	c.t.Helper()
	for _, n := range c.nodes {
		if n.options.ServerName != name || n.server != nil {
			continue
		}
		s, err := server.NewServer(n.options.Clone())
		if err != nil {
			c.t.Fatal(err)
		}
		go s.Start()
		n.server = s
	}
}

func freePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
