package auth

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// beginConfirmed opens a flow that its beginner has to confirm, as gateways of this release do.
func (w *env) beginConfirmed(user string, change func(*asks.BeginOAuth)) asks.OAuthBegun {
	w.Helper()
	ticket := must[asks.Ticket](w, asks.IssueTicket{UserID: user, Purpose: asks.TicketConnect, SignedInAs: user + "@example.com"})
	q := asks.BeginOAuth{Ticket: ticket.Ticket, Confirmed: true}
	if change != nil {
		change(&q)
	}
	return must[asks.OAuthBegun](w, q)
}

// goneThrough is a flow up to where it waits to be confirmed.
func (w *env) goneThrough(user, username string, change func(*asks.BeginOAuth)) (asks.OAuthReturned, asks.OAuthBegun) {
	w.Helper()
	begun := w.beginConfirmed(user, change)
	return must[asks.OAuthReturned](w, asks.ReturnOAuth(w.allow(begun, username))), begun
}

func (w *env) pending() int64 {
	w.Helper()
	n, err := w.db.NewSelect().Model((*pendingGrant)(nil)).Count(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return n
}

func onPage(q *asks.BeginOAuth) { q.Page = true }

func TestConfirmOAuth(t *testing.T) {
	t.Run("connects to who began, once, and nothing before", func(t *testing.T) {
		w := setup(t)
		got, _ := w.goneThrough("user_1", "ada", nil)
		if got.UserID != "user_1" || got.SignedInAs != "user_1@example.com" || got.Username != "ada" || got.Page || got.ExpiresIn != 600 {
			t.Errorf("%+v", got)
		}
		w.nothingConnected("user_1")
		c := must[events.Connection](w, asks.ConfirmOAuth{Code: got.Code, UserID: "user_1"})
		if c.UserID != "user_1" || *c.Username != "ada" || c.Status != events.ConnectionActive {
			t.Errorf("%+v", c)
		}
		_, err := ask[events.Connection](w, asks.ConfirmOAuth{Code: got.Code, UserID: "user_1"})
		refusedAs(t, err, events.Invalid, "connect_code_invalid")
		if n := w.pending(); n != 0 {
			t.Errorf("%d grants are left", n)
		}
	})

	t.Run("once also for many at once", func(t *testing.T) {
		w := setup(t)
		got, _ := w.goneThrough("user_1", "ada", nil)
		var wg sync.WaitGroup
		var won atomic.Int32
		for range 8 {
			wg.Go(func() {
				if _, err := ask[events.Connection](w, asks.ConfirmOAuth{Code: got.Code, UserID: "user_1"}); err == nil {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d of 8 connected", won.Load())
		}
	})

	t.Run("not to anybody else, and then to nobody", func(t *testing.T) {
		for name, q := range map[string]asks.ConfirmOAuth{
			"another user":                {UserID: "user_2"},
			"nobody":                      {},
			"the browser, not at a page":  {Cookie: "its own"},
			"another user with a browser": {UserID: "user_2", Cookie: "its own"},
		} {
			t.Run(name, func(t *testing.T) {
				w := setup(t)
				got, begun := w.goneThrough("user_1", "victim", nil)
				q.Code = got.Code
				if q.Cookie != "" {
					q.Cookie = begun.Cookie
				}
				_, err := ask[events.Connection](w, q)
				refusedAs(t, err, events.Invalid, "connect_code_invalid")
				// What was granted by somebody else must not wait for whoever began.
				_, err = ask[events.Connection](w, asks.ConfirmOAuth{Code: got.Code, UserID: "user_1"})
				refusedAs(t, err, events.Invalid, "connect_code_invalid")
				w.nothingConnected("user_1")
				w.nothingConnected("user_2")
			})
		}
	})

	t.Run("at the page, by the browser that began there", func(t *testing.T) {
		w := setup(t)
		got, begun := w.goneThrough("user_1", "ada", onPage)
		if !got.Page {
			t.Fatalf("%+v", got)
		}
		if c := must[events.Connection](w, asks.ConfirmOAuth{Code: got.Code, Cookie: begun.Cookie}); c.UserID != "user_1" {
			t.Errorf("%+v", c)
		}
		got, _ = w.goneThrough("user_2", "bob", onPage)
		_, err := ask[events.Connection](w, asks.ConfirmOAuth{Code: got.Code, Cookie: begun.Cookie})
		refusedAs(t, err, events.Invalid, "connect_code_invalid")
		w.nothingConnected("user_2")
	})

	t.Run("not once it was declined", func(t *testing.T) {
		w := setup(t)
		got, begun := w.goneThrough("user_1", "ada", onPage)
		must[events.Connection](w, asks.ConfirmOAuth{Code: got.Code, Cookie: begun.Cookie, Decline: true})
		_, err := ask[events.Connection](w, asks.ConfirmOAuth{Code: got.Code, UserID: "user_1"})
		refusedAs(t, err, events.Invalid, "connect_code_invalid")
		w.nothingConnected("user_1")
	})

	t.Run("not when it is too old, and it is not kept", func(t *testing.T) {
		t.Parallel()
		w := prepare(t)
		var ahead atomic.Int64
		w.svc.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		w.run()
		got, _ := w.goneThrough("user_1", "ada", nil)
		ahead.Store(int64(events.OAuthStateLife + time.Second))
		_, err := ask[events.Connection](w, asks.ConfirmOAuth{Code: got.Code, UserID: "user_1"})
		refusedAs(t, err, events.Invalid, "connect_code_invalid")
		w.svc.forgetGrants(t.Context())
		if n := w.pending(); n != 0 {
			t.Errorf("%d grants are left", n)
		}
	})

	t.Run("not for a gateway that would connect at once", func(t *testing.T) {
		w := setup(t)
		back := w.allow(w.beginConfirmed("user_1", nil), "ada")
		_, err := ask[events.Connection](w, back)
		refusedAs(t, err, events.Invalid, "state_invalid")
		w.nothingConnected("user_1")
		must[asks.OAuthReturned](w, asks.ReturnOAuth(back)) // nor is it used up
	})

	t.Run("not by another Threads user than before", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		begun := w.beginConfirmed("user_1", func(q *asks.BeginOAuth) { q.AccountID = c.ID })
		_, err := ask[asks.OAuthReturned](w, asks.ReturnOAuth(w.allow(begun, "bob")))
		refusedAs(t, err, events.Conflict, "other_threads_user")
		if n := w.pending(); n != 0 {
			t.Errorf("%d grants are kept", n)
		}
	})

	t.Run("not after the person removed the app, or asked to be forgotten", func(t *testing.T) {
		w := setup(t)
		of := w.connect("user_2", "ada").ProviderUserID
		got, _ := w.goneThrough("user_1", "ada", nil)
		must[asks.Uninstalled](w, asks.ReceiveUninstall{Body: w.signed(of, time.Now())})
		_, err := ask[events.Connection](w, asks.ConfirmOAuth{Code: got.Code, UserID: "user_1"})
		refusedAs(t, err, events.Invalid, "connect_code_invalid")

		got, _ = w.goneThrough("user_1", "ada", nil)
		must[asks.Erasure](w, asks.ReceiveDataDeletion{Body: w.signed(of, time.Now().Add(time.Second))})
		_, err = ask[events.Connection](w, asks.ConfirmOAuth{Code: got.Code, UserID: "user_1"})
		refusedAs(t, err, events.Invalid, "connect_code_invalid")
		w.nothingConnected("user_1")
	})

	t.Run("not after the user had the account erased", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		mine, _ := w.goneThrough("user_1", "ada", nil)
		theirs, _ := w.goneThrough("user_2", "ada", nil)
		erase := events.Disconnect{UserID: "user_1", AccountID: c.ID, Erase: true}
		if o, err := w.bus.Do(t.Context(), erase, bus.CommandOptions{ID: events.NewCommandID()}, waiting.Limit); err != nil || o.Fault != nil {
			t.Fatalf("%+v, %v", o, err)
		}
		_, err := ask[events.Connection](w, asks.ConfirmOAuth{Code: mine.Code, UserID: "user_1"})
		refusedAs(t, err, events.Invalid, "connect_code_invalid")
		must[events.Connection](w, asks.ConfirmOAuth{Code: theirs.Code, UserID: "user_2"})
	})
}

func TestTicketsHaveAPurpose(t *testing.T) {
	w := setup(t)
	issue := func(p asks.TicketPurpose) string {
		return must[asks.Ticket](w, asks.IssueTicket{UserID: "user_1", Purpose: p}).Ticket
	}
	stream, connect := issue(asks.TicketStream), issue(asks.TicketConnect)
	_, err := ask[asks.OAuthBegun](w, asks.BeginOAuth{Ticket: stream, Confirmed: true})
	refusedAs(t, err, events.Unauthorized, "ticket_invalid")
	_, err = ask[asks.TicketHolder](w, asks.RedeemTicket{Ticket: connect})
	refusedAs(t, err, events.Unauthorized, "ticket_invalid")
	// Shown in the wrong place, they stay good in the right one.
	must[asks.TicketHolder](w, asks.RedeemTicket{Ticket: stream})
	must[asks.OAuthBegun](w, asks.BeginOAuth{Ticket: connect, Confirmed: true})
}
