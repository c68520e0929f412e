package natsd_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// node starts a server with cluster.conf and this password for its routes.
func node(t *testing.T, name string, port int, routes []int, password string) bustest.ConfServer {
	t.Helper()
	return bustest.ServeConfIn(t, secretsFor(t, routes, password), "cluster.conf", func(o *server.Options) {
		o.ServerName, o.Cluster.Host, o.Cluster.Port = name, "127.0.0.1", port
	})
}

// secretsFor is a directory with the secrets of a node.
func secretsFor(t *testing.T, routes []int, password string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	secret := "NATS_PASSWORD_ROUTE: \"" + password + "\"\nNATS_ROUTES: ["
	for _, r := range routes {
		secret += fmt.Sprintf("\"nats://route:%s@127.0.0.1:%d\",", password, r)
	}
	if err := os.WriteFile(filepath.Join(dir, "secrets", "nats_routes"), []byte(strings.TrimSuffix(secret, ",")+"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func freePorts(t *testing.T, n int) (ports []int) {
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

func TestThreeServersKeepEveryStreamTogether(t *testing.T) {
	t.Parallel()
	ports := freePorts(t, 4)
	var nodes []bustest.ConfServer
	for i, name := range []string{"nats-1", "nats-2", "nats-3"} {
		nodes = append(nodes, node(t, name, ports[i], ports[:3], "among-servers"))
	}
	stranger := node(t, "nats-4", ports[3], ports[:3], "a-guess")

	until := time.Now().Add(waiting.Limit)
	for nodes[0].NumRoutes() == 0 || nodes[1].NumRoutes() == 0 || nodes[2].NumRoutes() == 0 {
		if time.Now().After(until) {
			t.Fatal("the servers do not find one another")
		}
		<-time.After(20 * time.Millisecond)
	}
	migrate := nodes[1].As(t, bus.UserMigrate)
	for err := fmt.Errorf("not yet"); err != nil; { // its container is started again until it comes through
		if err = bus.Declare(t.Context(), migrate, bus.Topology{Replicas: 3}); err != nil && time.Now().After(until) {
			t.Fatal(err)
		}
	}
	fact := events.NewAccountConnected(events.Connection{ID: "acct_1"})
	if err := nodes[0].As(t, "auth").Emit(t.Context(), fact); err != nil {
		t.Fatal(err)
	}
	s, err := nodes[2].As(t, bus.UserOps).JetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	if info := s.CachedInfo(); info.Cluster == nil || len(info.Cluster.Replicas) != 2 || info.State.Msgs != 1 {
		t.Errorf("EVENTS is kept by %+v with %d messages", info.Cluster, info.State.Msgs)
	}
	// The stranger itself counts a route from the moment it has dialled. What counts is whether one of the three takes it.
	for _, n := range nodes {
		routes, err := n.Routez(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range routes.Routes {
			if r.RemoteName == stranger.Name() {
				t.Errorf("%s has taken in a server that only guesses the password", n.Name())
			}
		}
	}
}

// What falls silent is left within seconds: a node by the others, and a client by its node.
func TestTheConfigurationLeavesWhoIsSilent(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"nats.conf", "cluster.conf"} {
		var is *server.Options
		bustest.ServeConfIn(t, secretsFor(t, []int{1}, "among-servers"), file, func(o *server.Options) { is = o.Clone(); o.Cluster = server.ClusterOpts{}; o.Routes = nil })
		if silent := is.PingInterval * time.Duration(is.MaxPingsOut+1); silent <= 0 || silent > 15*time.Second {
			t.Errorf("%s leaves a client after %s", file, silent)
		}
		if silent := is.Cluster.PingInterval * time.Duration(is.Cluster.MaxPingsOut+1); file == "cluster.conf" && (silent <= 0 || silent > 10*time.Second) {
			t.Errorf("%s leaves a node after %s", file, silent)
		}
	}
}
