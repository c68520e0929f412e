// Package publishertest runs whole publishers for tests: with Postgres, NATS and a simulated Threads, and every wait made short.
package publishertest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/internal/vault/vaulttest"
	"github.com/omni-write/threads/services/publisher"
)

// User has the account that a system begins with.
const User = "user_1"

// System is a publisher with everything real around it but Threads, which is simulated.
type System struct {
	T      *testing.T
	Config publisher.Config
	NATS   *natsd.Server
	Bus    *bus.Bus
	// ConnectBus is another connection to NATS under a service's name.
	ConnectBus func(name string) *bus.Bus
	Now        func() time.Time // the publishers' clock; nil: the machine's
	DB         *bun.DB
	Side       *bun.DB // nil: DB
	Sim        *threadssim.Sim
	API        *threads.Client
	Vault      *vault.Vault
	Account    accounts.Account
	Log        *zap.Logger
}

// Quick shrinks every wait; the simulator's processing is shrunk with them.
func Quick(t *testing.T) publisher.Config {
	t.Helper()
	c, err := publisher.ConfigFromEnv(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	c.SweepEvery, c.SweepGrace = 200*time.Millisecond, 300*time.Millisecond
	c.Lease = 2 * time.Second
	c.CallTimeout = 2 * time.Second
	c.SecondCallAfter, c.FinishedApart = 500*time.Millisecond, 300*time.Millisecond
	c.PermalinkWait = time.Second
	c.RefLook = 500 * time.Millisecond
	return c
}

// New starts the parts of a system on a NATS server and a database of its own.
func New(t *testing.T) *System {
	t.Helper()
	nats := bustest.Server(t, t.TempDir())
	sys := NewOn(t, func(name string) *bus.Bus { return bustest.Connect(t, nats, name) })
	sys.NATS = nats
	return sys
}

// NewOn is a system on NATS servers of the caller's.
func NewOn(t *testing.T, connect func(name string) *bus.Bus) *System {
	t.Helper()
	sys := &System{T: t, Config: Quick(t), DB: pgtest.New(t), Log: bustest.Log(t), ConnectBus: connect}
	sys.Bus = connect("test")
	var err error
	sys.Sim, err = threadssim.New(threadssim.Options{Processing: threadssim.Processing{Text: 50 * time.Millisecond, Image: 100 * time.Millisecond, Video: 100 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	sys.UseSim(sys.Sim)
	sys.Vault = vaulttest.New(t)
	sys.Account = sys.Connect(User, "demo.user")
	return sys
}

// UseSim makes a simulator the system's Threads.
func (sys *System) UseSim(sim *threadssim.Sim) {
	sys.T.Helper()
	server := httptest.NewServer(sim)
	sys.T.Cleanup(server.Close)
	sys.Sim = sim
	sys.API = threads.New(threads.Config{BaseURL: server.URL, AppID: threadssim.DefaultAppID, AppSecret: threadssim.DefaultAppSecret,
		PublishTimeout: sys.Config.CallTimeout, HTTP: &http.Client{Transport: &http.Transport{}}})
}

// Behind puts something between the publisher, as production configures it, and Threads: it may hold a request back.
func (sys *System) Behind(between func(*http.Request)) {
	sys.T.Helper()
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		between(req)
		sys.Sim.ServeHTTP(w, req)
	}))
	sys.T.Cleanup(edge.Close)
	sys.Config.APIURL = edge.URL
	client := sys.Config.Threads()
	client.Timeout = time.Hour
	sys.API = threads.New(client)
}

// Connect gives a user a connected account.
func (sys *System) Connect(user, name string, scopes ...string) accounts.Account {
	sys.T.Helper()
	if len(scopes) == 0 {
		scopes = []string{threads.ScopeBasic, threads.ScopeContentPublish, threads.ScopeDelete}
	}
	grant, err := sys.Sim.Token(name, scopes...)
	if err != nil {
		sys.T.Fatal(err)
	}
	var a accounts.Account
	err = pg.InTx(sys.T.Context(), sys.DB, func(ctx context.Context, tx bun.Tx) (err error) {
		a, err = accounts.Connect(ctx, tx, sys.Vault, accounts.Grant{
			UserID: user, ProviderUserID: grant.UserID, Username: name, Scopes: scopes, Token: grant.AccessToken, ExpiresAt: time.Now().Add(grant.ExpiresIn),
		}, time.Now())
		return err
	})
	if err != nil {
		sys.T.Fatal(err)
	}
	return a
}

// Start runs a publisher until the test ends or stop is called.
func (sys *System) Start() (s *publisher.Service, stop func()) {
	sys.T.Helper()
	b := sys.ConnectBus("publisher")
	s = publisher.New(sys.Config, publisher.Deps{Bus: b, DB: sys.DB, Side: sys.Side, Threads: sys.API, Vault: sys.Vault, Log: sys.Log, Now: sys.Now})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				sys.T.Errorf("publisher ended with %v", err)
			}
		})
	}
	sys.T.Cleanup(stop)
	return s, stop
}

// Idle is a publisher that does nothing by itself.
func (sys *System) Idle() *publisher.Service {
	return publisher.New(sys.Config, publisher.Deps{Bus: sys.Bus, DB: sys.DB, Threads: sys.API, Vault: sys.Vault, Log: sys.Log})
}
