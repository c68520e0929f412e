package auth

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func TestConnect(t *testing.T) {
	t.Run("a person who allows us is connected, and everyone hears of it", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		if c.UserID != "user_1" || *c.Username != "ada" || c.Status != events.ConnectionActive || len(c.Scopes) != 6 {
			t.Errorf("connection %+v", c)
		}
		if left := time.Until(*c.AccessTokenExpiresAt); left < 59*24*time.Hour || left > 60*24*time.Hour {
			t.Errorf("the token lives %s, want about 60 days", left)
		}
		emitted := bustest.Await(t, w.bus, func(ev events.AccountConnected) bool { return ev.Connection.ID == c.ID })
		if emitted.Connection.ProviderUserID != c.ProviderUserID || emitted.Connection.Rev != c.Rev {
			t.Errorf("told %+v, answered %+v", emitted.Connection, c)
		}
		token, _, err := accounts.Token(t.Context(), w.db, w.vault, c.ID, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if me, err := w.svc.api.Me(t.Context(), token); err != nil || me.ID != c.ProviderUserID {
			t.Errorf("the stored token is good for %s, %v", me.ID, err)
		}
		list := must[asks.ConnectionList](w, asks.ListConnections{UserID: "user_1"})
		if len(list.Connections) != 1 || list.Connections[0].ID != c.ID {
			t.Errorf("list %+v", list)
		}
		if other := must[asks.ConnectionList](w, asks.ListConnections{UserID: "user_2"}); len(other.Connections) != 0 {
			t.Errorf("another user sees %+v", other)
		}
	})

	t.Run("the scopes are those that were granted, not those that were asked for", func(t *testing.T) {
		w := setup(t)
		c := must[events.Connection](w, w.allow(w.begin("user_1"), "ada", threads.ScopeBasic, threads.ScopeContentPublish))
		if !slices.Equal(c.Scopes, []string{threads.ScopeBasic, threads.ScopeContentPublish}) {
			t.Errorf("scopes %v", c.Scopes)
		}
	})

	t.Run("without the basic scope nothing is connected", func(t *testing.T) {
		w := setup(t)
		w.wire.set(func(rw http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/debug_token") {
				return false
			}
			_, _ = rw.Write([]byte(`{"data":{"is_valid":true,"scopes":["threads_delete"]}}`))
			return true
		})
		_, err := ask[events.Connection](w, w.allow(w.begin("user_1"), "ada"))
		refusedAs(t, err, events.MissingScope, "missing_basic_scope")
		w.nothingConnected("user_1")
	})

	t.Run("the same Threads user keeps the account, another one is a second account", func(t *testing.T) {
		w := setup(t)
		first, again, other := w.connect("user_1", "ada"), w.connect("user_1", "ada"), w.connect("user_1", "bob")
		if again.ID != first.ID || again.Rev <= first.Rev {
			t.Errorf("reconnected as %s rev %d, was %s rev %d", again.ID, again.Rev, first.ID, first.Rev)
		}
		if other.ID == first.ID || other.ProviderUserID == first.ProviderUserID {
			t.Errorf("bob took ada's account: %+v", other)
		}
	})

	t.Run("a ticket is good once", func(t *testing.T) {
		w := setup(t)
		ticket := must[asks.Ticket](w, asks.IssueTicket{UserID: "user_1"})
		if ticket.ExpiresIn != 30 {
			t.Errorf("expires in %d s", ticket.ExpiresIn)
		}
		must[asks.OAuthBegun](w, asks.BeginOAuth{Ticket: ticket.Ticket})
		_, err := ask[asks.OAuthBegun](w, asks.BeginOAuth{Ticket: ticket.Ticket})
		refusedAs(t, err, events.Unauthorized, "ticket_invalid")
		_, err = ask[asks.OAuthBegun](w, asks.BeginOAuth{})
		refusedAs(t, err, events.Unauthorized, "")
		_, err = ask[asks.Ticket](w, asks.IssueTicket{})
		refusedAs(t, err, events.Unauthorized, "")
	})
}

func TestFinishOAuthIsNotFooled(t *testing.T) {
	t.Run("by a replay", func(t *testing.T) {
		w := setup(t)
		back := w.allow(w.begin("user_1"), "ada")
		must[events.Connection](w, back)
		_, err := ask[events.Connection](w, back)
		refusedAs(t, err, events.Invalid, "state_invalid")
		if n := w.wire.count("/oauth/access_token"); n != 1 {
			t.Errorf("the code was spent %d times", n)
		}
	})

	t.Run("by two at once", func(t *testing.T) {
		w := setup(t)
		back := w.allow(w.begin("user_1"), "ada")
		var (
			wg  sync.WaitGroup
			won atomic.Int32
		)
		for range 8 {
			wg.Go(func() {
				if _, err := ask[events.Connection](w, back); err == nil {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if n := w.wire.count("/oauth/access_token"); won.Load() != 1 || n != 1 {
			t.Errorf("%d of 8 were connected, with %d exchanges", won.Load(), n)
		}
	})

	t.Run("by a state that we never gave out", func(t *testing.T) {
		w := setup(t)
		back := w.allow(w.begin("user_1"), "ada")
		for _, forged := range []string{"", "forged", newSecret(), back.State + "x"} {
			q := back
			q.State = forged
			_, err := ask[events.Connection](w, q)
			refusedAs(t, err, events.Invalid, "state_invalid")
		}
		if n := w.wire.count("/oauth/access_token"); n != 0 {
			t.Errorf("the code was spent %d times", n)
		}
	})

	t.Run("by another browser, whose try consumes nothing", func(t *testing.T) {
		w := setup(t)
		mine, theirs := w.begin("user_1"), w.begin("user_2")
		back := w.allow(mine, "ada")
		for _, cookie := range []string{"", theirs.Cookie, back.State} {
			q := back
			q.Cookie = cookie
			_, err := ask[events.Connection](w, q)
			refusedAs(t, err, events.Invalid, "state_invalid")
		}
		if c := must[events.Connection](w, back); c.UserID != "user_1" {
			t.Errorf("connected for %s", c.UserID)
		}
	})
}

func TestFinishOAuthFails(t *testing.T) {
	t.Run("when the person says no, and then the state is used up", func(t *testing.T) {
		w := setup(t)
		begun := w.begin("user_1")
		_, err := ask[events.Connection](w, w.deny(begun))
		refusedAs(t, err, events.Refused, "access_denied")
		_, err = ask[events.Connection](w, w.allow(begun, "ada"))
		refusedAs(t, err, events.Invalid, "state_invalid")
		w.nothingConnected("user_1")
	})

	t.Run("when the code is no good, or missing", func(t *testing.T) {
		w := setup(t)
		for _, code := range []string{"AQBnotours", ""} {
			back := w.allow(w.begin("user_1"), "ada")
			back.Code = code
			_, err := ask[events.Connection](w, back)
			refusedAs(t, err, events.Refused, "exchange_failed")
		}
		w.nothingConnected("user_1")
	})

	t.Run("when Threads is unwell at any step, and nothing half is kept", func(t *testing.T) {
		w := setup(t)
		for _, fault := range []threadssim.Fault{
			{Op: threads.OpExchange, Kind: threadssim.Edge5xx},
			{Op: threads.OpExchange, Kind: threadssim.DropResponse}, // the code is spent, and we shall never know for what
			{Op: threads.OpExchangeLong, Kind: threadssim.Edge5xx},
			{Op: threads.OpMe, Kind: threadssim.ErrorBeforeCommit},
			{Op: threads.OpDebugToken, Kind: threadssim.Edge5xx},
		} {
			if err := w.sim.Inject(fault); err != nil {
				t.Fatal(err)
			}
			_, err := ask[events.Connection](w, w.allow(w.begin("user_1"), "ada"))
			refusedAs(t, err, events.Unavailable, "threads_unavailable")
		}
		w.nothingConnected("user_1")
	})

	t.Run("when the token that lasts does not last", func(t *testing.T) {
		w := setup(t)
		w.wire.set(func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/access_token" {
				return false
			}
			_, _ = rw.Write([]byte(`{"access_token":"THshort","token_type":"bearer","expires_in":3600}`))
			return true
		})
		if _, err := ask[events.Connection](w, w.allow(w.begin("user_1"), "ada")); err == nil {
			t.Error("a token of one hour was taken for a long-lived one")
		}
		w.nothingConnected("user_1")
	})
}

func (w *env) nothingConnected(user string) {
	w.Helper()
	if list := must[asks.ConnectionList](w, asks.ListConnections{UserID: user}); len(list.Connections) > 0 {
		w.Errorf("connected: %+v", list.Connections)
	}
}
