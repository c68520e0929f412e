package tokenkeeper

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/internal/vault/vaulttest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// env is a tokenkeeper on real NATS and Postgres, before a simulated Threads whose clock is the same.
type env struct {
	*testing.T
	svc   *Service
	bus   *bus.Bus
	db    *bun.DB
	vault *vault.Vault
	sim   *threadssim.Sim
	wire  *wire
	clock *clock
}

// clock is moved by the test.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// wire counts the refreshes that are asked for; a test may act while one is on its way, or answer it itself.
type wire struct {
	sim http.Handler

	mu        sync.Mutex
	refreshes int
	meanwhile func(w http.ResponseWriter, r *http.Request) (answered bool)
}

func (x *wire) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/refresh_access_token" {
		x.mu.Lock()
		x.refreshes++
		meanwhile := x.meanwhile
		x.mu.Unlock()
		if meanwhile != nil && meanwhile(w, r) {
			return
		}
	}
	x.sim.ServeHTTP(w, r)
}

func (x *wire) count() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.refreshes
}

func (x *wire) set(meanwhile func(w http.ResponseWriter, r *http.Request) bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.meanwhile = meanwhile
}

// setup makes the world; run sets it going. Most tests call the handlers themselves, as a durable would.
func setup(t *testing.T) *env {
	t.Helper()
	t.Parallel()
	w := &env{T: t, bus: bustest.New(t), db: pgtest.New(t), clock: &clock{at: time.Now().UTC().Truncate(time.Millisecond)}}
	var err error
	if w.sim, err = threadssim.New(threadssim.Options{Now: w.clock.now}); err != nil {
		t.Fatal(err)
	}
	w.wire = &wire{sim: w.sim}
	web := httptest.NewServer(w.wire)
	t.Cleanup(web.Close)
	w.vault = vaulttest.New(t)
	cfg, err := ConfigFromEnv(func(name string) string { return map[string]string{"THREADS_API_URL": web.URL}[name] })
	if err != nil {
		t.Fatal(err)
	}
	w.svc = New(cfg, Deps{
		Bus: w.bus, DB: w.db, Threads: threads.New(cfg.Threads()), Vault: w.vault, Log: zap.NewNop(), Now: w.clock.now,
	})
	return w
}

// run runs the tokenkeeper until the test ends.
func (w *env) run() {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.svc.Run(ctx) }()
	w.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("tokenkeeper ended with %v", err)
		}
	})
}

// connect makes an account with a token of now.
func (w *env) connect(user, username string) accounts.Account {
	w.Helper()
	grant, err := w.sim.Token(username)
	if err != nil {
		w.Fatal(err)
	}
	var a accounts.Account
	err = pg.InTx(context.Background(), w.db, func(ctx context.Context, tx bun.Tx) error {
		var err error
		a, err = accounts.Connect(ctx, tx, w.vault, accounts.Grant{
			UserID: user, ProviderUserID: grant.UserID, Username: username, Scopes: grant.Scopes,
			Token: grant.AccessToken, ExpiresAt: w.clock.now().Add(grant.ExpiresIn),
		}, w.clock.now())
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	return a
}

// planned connects an account, plans its refresh and lets the time come.
func (w *env) planned(user, username string) accounts.Account {
	w.Helper()
	a := w.connect(user, username)
	if err := w.svc.settle(w.Context(), a.ID); err != nil {
		w.Fatal(err)
	}
	a = w.account(a.ID)
	w.clock.pass(a.RefreshAt.Sub(w.clock.now()) + time.Second)
	return a
}

func (w *env) due(id string) {
	w.Helper()
	if err := w.svc.Due(w.Context(), bus.Delivery{}, id); err != nil {
		w.Fatalf("due: %v", err)
	}
}

func (w *env) account(id string) accounts.Account {
	w.Helper()
	a, err := accounts.Get(w.Context(), w.db, id)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

// works says whether Threads takes the token that is stored.
func (w *env) works(id string) bool {
	w.Helper()
	token, _, err := accounts.Token(w.Context(), w.db, w.vault, id, w.clock.now())
	if err != nil {
		return false
	}
	_, err = w.svc.api.Me(w.Context(), token)
	return err == nil
}

// alarm is when the account's alarm will go off; the zero time when there is none.
func (w *env) alarm(id string) time.Time {
	w.Helper()
	stream, err := w.bus.JetStream().Stream(w.Context(), events.StreamTokenAlarms)
	if err != nil {
		w.Fatal(err)
	}
	m, err := stream.GetLastMsgForSubject(w.Context(), events.TokenAlarm(id))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}
	}
	if err != nil {
		w.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339Nano, strings.TrimPrefix(m.Header.Get("Nats-Schedule"), "@at "))
	if err != nil {
		w.Fatal(err)
	}
	return at
}

// told is every event of the account, by type.
func (w *env) emittedTypes(id string) []string {
	w.Helper()
	stream, err := w.bus.JetStream().Stream(w.Context(), events.StreamEvents)
	if err != nil {
		w.Fatal(err)
	}
	var types []string
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(w.Context(), seq)
		if err != nil {
			w.Fatal(err)
		}
		if strings.Contains(m.Subject, "."+id+".") {
			types = append(types, m.Header[events.HeaderType]...)
		}
	}
	return types
}
