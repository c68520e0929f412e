package auth

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func TestProfile(t *testing.T) {
	t.Run("is Threads' own", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		p := must[asks.Profile](w, asks.GetProfile{UserID: "user_1"})
		if p.ID != c.ProviderUserID || p.Username != "ada" {
			t.Errorf("profile %+v of %+v", p, c)
		}
	})

	t.Run("a dead token means that the account must be connected again", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		if err := w.sim.Revoke("ada", 0); err != nil {
			t.Fatal(err)
		}
		_, err := ask[asks.Profile](w, asks.GetProfile{UserID: "user_1"})
		refusedAs(t, err, events.ReauthRequired, "")
		emitted := bustest.Await(t, w.bus, func(ev events.AccountReconnectRequired) bool { return ev.Connection.ID == c.ID })
		if emitted.Connection.Status != events.ConnectionReconnectRequired || emitted.Reason.Code != events.ReauthRequired {
			t.Errorf("told %+v", emitted)
		}
		calls := w.wire.count("/v1.0/me")
		_, err = ask[asks.Profile](w, asks.GetProfile{UserID: "user_1"})
		refusedAs(t, err, events.ReauthRequired, "")
		if w.wire.count("/v1.0/me") != calls {
			t.Error("Threads was asked again with a token that is known to be dead")
		}
		if again := w.connect("user_1", "ada"); again.ID != c.ID || again.Status != events.ConnectionActive {
			t.Errorf("after the reconnect: %+v", again)
		}
	})

	t.Run("a token that was replaced under our hands declares nothing", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		if err := w.sim.Revoke("ada", 0); err != nil {
			t.Fatal(err)
		}
		fresh, err := w.sim.Token("ada")
		if err != nil {
			t.Fatal(err)
		}
		var replaced atomic.Bool
		w.wire.set(func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/me") && replaced.CompareAndSwap(false, true) {
				w.replace(c, fresh.AccessToken) // while the call with the old token is on its way
			}
			return false
		})
		if p := must[asks.Profile](w, asks.GetProfile{UserID: "user_1"}); p.Username != "ada" {
			t.Errorf("profile %+v", p)
		}
		if a := w.account(c.ID); a.Status != events.ConnectionActive {
			t.Errorf("status %s", a.Status)
		}
	})

	t.Run("an unwell Threads ends no connection", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		if err := w.sim.Inject(threadssim.Fault{Op: threads.OpMe, Kind: threadssim.Edge5xx}); err != nil {
			t.Fatal(err)
		}
		_, err := ask[asks.Profile](w, asks.GetProfile{UserID: "user_1"})
		refusedAs(t, err, events.Unavailable, "threads_unavailable")
		if a := w.account(c.ID); a.Status != events.ConnectionActive {
			t.Errorf("status %s", a.Status)
		}
	})
}

// replace gives the account another token, as a reconnect does.
func (w *env) replace(c events.Connection, token threads.Token) {
	err := pg.InTx(context.Background(), w.db, func(ctx context.Context, tx bun.Tx) error {
		_, err := accounts.Connect(ctx, tx, w.vault, accounts.Grant{
			UserID: c.UserID, ProviderUserID: c.ProviderUserID, Username: *c.Username, Scopes: c.Scopes,
			Token: token, ExpiresAt: time.Now().Add(time.Hour),
		}, time.Now())
		return err
	})
	if err != nil {
		w.Error(err)
	}
}
