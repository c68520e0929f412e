package engagement

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/internal/vault/vaulttest"
	"github.com/omni-write/threads/services/publisher/ownercalls"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var allScopes = []string{
	threads.ScopeBasic, threads.ScopeContentPublish, threads.ScopeReadReplies, threads.ScopeManageReplies, threads.ScopeManageInsights,
	threads.ScopeDelete, threads.ScopeKeywordSearch, threads.ScopeManageMentions, threads.ScopeLocationTagging, threads.ScopeProfileDiscovery,
}

// system is the package on real NATS and Postgres and a simulated Threads, with one connected account that granted everything.
type system struct {
	*testing.T
	cfg     Config
	bus     *bus.Bus
	db      *bun.DB
	vault   *vault.Vault
	sim     *threadssim.Sim
	api     *threads.Client
	account accounts.Account
}

func setup(t *testing.T) *system {
	t.Helper()
	cfg, err := process.Env[Config](func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	vault := vaulttest.New(t)
	sim, err := threadssim.New(threadssim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	sys := &system{T: t, cfg: cfg, bus: bustest.New(t), db: pgtest.New(t), vault: vault, sim: sim}
	sys.api = threads.New(threads.Config{
		BaseURL: server.URL, AppID: threadssim.DefaultAppID, AppSecret: threadssim.DefaultAppSecret,
		HTTP: &http.Client{Transport: &http.Transport{}},
	})
	sys.account = sys.connect("user_1", "demo.user", allScopes...)
	return sys
}

// connect gives a user a connected account.
func (sys *system) connect(user, name string, scopes ...string) (a accounts.Account) {
	sys.Helper()
	grant, err := sys.sim.Token(name, scopes...)
	if err != nil {
		sys.Fatal(err)
	}
	err = pg.InTx(sys.Context(), sys.db, func(ctx context.Context, tx bun.Tx) (err error) {
		a, err = accounts.Connect(ctx, tx, sys.vault, accounts.Grant{
			UserID: user, ProviderUserID: grant.UserID, Username: name, Scopes: scopes, Token: grant.AccessToken,
			ExpiresAt: time.Now().Add(grant.ExpiresIn),
		}, time.Now())
		return err
	})
	if err != nil {
		sys.Fatal(err)
	}
	return a
}

func (sys *system) service() *Service {
	log := bustest.Log(sys.T)
	return New(sys.cfg, Deps{
		Bus: sys.bus, DB: sys.db, Threads: sys.api, Posts: posts.NewStore(sys.db, time.Minute, time.Minute),
		Calls: ownercalls.New(ownercalls.Config{ThrottleWait: time.Minute},
			ownercalls.Deps{Bus: sys.bus, DB: sys.db, Vault: sys.vault, Log: log, Now: time.Now}),
		Apply:  func(context.Context, ...events.PostEvent) error { return nil },
		Erased: func(string) bool { return false },
		Ready:  func() bool { return true },
		Busy:   func() bool { return false },
		Log:    log, Now: time.Now,
	})
}

// callsOf counts the calls of a kind that reached Threads.
func (sys *system) callsOf(op string) (n int) {
	for _, c := range sys.sim.Calls() {
		if c.Op == op {
			n++
		}
	}
	return n
}

// say lets a user post at Threads, past us, some time ago.
func (sys *system) say(username, text string, ago time.Duration, params ...string) string {
	sys.Helper()
	if err := sys.sim.SetClock(time.Now().Add(-ago)); err != nil {
		sys.Fatal(err)
	}
	form := url.Values{"text": {text}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	id, _, err := sys.sim.Say(username, form)
	if err != nil {
		sys.Fatal(err)
	}
	if err := sys.sim.ResetClock(); err != nil {
		sys.Fatal(err)
	}
	return id
}

func (sys *system) person(username string) {
	sys.Helper()
	if _, err := sys.sim.AddPerson(threadssim.Person{Username: username}); err != nil {
		sys.Fatal(err)
	}
}
