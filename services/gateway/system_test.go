package gateway_test

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
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/internal/vault"
	"github.com/omni-write/threads/internal/vault/vaulttest"
	"github.com/omni-write/threads/services/publisher"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// env is a gateway, a publisher behind it, and a simulated Threads behind that.
type env struct {
	*system
	t     *testing.T
	db    *bun.DB
	sim   *threadssim.Sim
	api   *threads.Client
	vault *vault.Vault
	ada   accounts.Account
}

const bob = "user_bob"

// everything is every scope that anything here needs.
var everything = []string{
	threads.ScopeBasic, threads.ScopeContentPublish, threads.ScopeReadReplies, threads.ScopeManageReplies, threads.ScopeManageInsights,
	threads.ScopeDelete, threads.ScopeKeywordSearch, threads.ScopeManageMentions, threads.ScopeLocationTagging, threads.ScopeProfileDiscovery,
}

func newEnv(t *testing.T, changes ...func(*publisher.Config)) *env {
	t.Helper()
	w := &env{system: setup(t), t: t, db: pgtest.New(t)}
	var err error
	w.sim, err = threadssim.New(threadssim.Options{Processing: threadssim.Processing{Text: 20 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.sim)
	t.Cleanup(server.Close)
	w.vault = vaulttest.New(t)
	w.ada = w.connect(ada, "ada.writes", everything...)

	cfg, err := publisher.ConfigFromEnv(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	cfg.APIURL, cfg.Engagement.ReadsKept, cfg.BreakerAfter, cfg.Engagement.HistorySettle = server.URL, 0, 1000, 0
	for _, change := range changes {
		change(&cfg)
	}
	w.api = threads.New(cfg.Threads())
	p := publisher.New(cfg, publisher.Deps{Bus: w.bus, DB: w.db, Threads: w.api, Vault: w.vault, Log: bustest.Log(t)})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

// connect gives a user a connected account.
func (w *env) connect(user, name string, scopes ...string) (a accounts.Account) {
	w.t.Helper()
	grant, err := w.sim.Token(name, scopes...)
	if err != nil {
		w.t.Fatal(err)
	}
	err = pg.InTx(w.t.Context(), w.db, func(ctx context.Context, tx bun.Tx) (err error) {
		a, err = accounts.Connect(ctx, tx, w.vault, accounts.Grant{
			UserID: user, ProviderUserID: grant.UserID, Username: name, Scopes: scopes, Token: grant.AccessToken, ExpiresAt: time.Now().Add(grant.ExpiresIn),
		}, time.Now())
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// say lets a person post at Threads, some time ago.
func (w *env) say(username, text string, ago time.Duration, params ...string) string {
	w.t.Helper()
	if _, err := w.sim.AddPerson(threadssim.Person{Username: username}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.sim.SetClock(time.Now().Add(-ago)); err != nil {
		w.t.Fatal(err)
	}
	form := url.Values{"text": {text}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	id, _, err := w.sim.Say(username, form)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.sim.ResetClock(); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// post publishes a post through the API.
func (w *env) post(body string) (p events.Post) {
	w.t.Helper()
	w.do(w.t, http.MethodPost, "/api/threads/post", body).is(w.t, http.StatusCreated, &p)
	return p
}

func (w *env) inject(f threadssim.Fault) {
	w.t.Helper()
	if err := w.sim.Inject(f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *env) page(path string) (p asks.ThreadsPage) {
	w.t.Helper()
	w.do(w.t, http.MethodGet, path, "").is(w.t, http.StatusOK, &p)
	return p
}

func texts(p asks.ThreadsPage) (list []string) {
	for _, m := range p.Items {
		list = append(list, m.Text)
	}
	return list
}
