package tokenkeeper

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func TestDue(t *testing.T) {
	t.Run("a token whose time has come is refreshed, and everyone hears of it", func(t *testing.T) {
		w := setup(t)
		a := w.planned("user_1", "ada")
		w.due(a.ID)
		b := w.account(a.ID)
		if bytes.Equal(b.Sealed, a.Sealed) || !w.works(a.ID) {
			t.Error("no new token that works")
		}
		if life := b.ExpiresAt.Sub(w.clock.now()); life < 59*day || b.RefreshLease != "" || !b.RefreshAt.After(w.clock.now().Add(26*day)) {
			t.Errorf("lives %s, lease %q, next refresh %s", life, b.RefreshLease, b.RefreshAt)
		}
		if emitted := w.emittedTypes(a.ID); !slices.Equal(emitted, []string{"account.token_refreshed.v1"}) {
			t.Errorf("told %v", emitted)
		}
		w.clock.pass(45 * day) // the old token is dead by now
		if !w.works(a.ID) {
			t.Error("the new token did not outlive the old one")
		}
	})

	t.Run("a young token is left alone, and has its alarm", func(t *testing.T) {
		w := setup(t)
		a := w.connect("user_1", "ada")
		w.clock.pass(23 * time.Hour)
		w.due(a.ID)
		if n := w.wire.count(); n != 0 {
			t.Errorf("asked Threads %d times", n)
		}
		if at := w.alarm(a.ID); !at.Equal(w.account(a.ID).RefreshAt) || at.Before(a.IssuedAt.Add(27*day)) {
			t.Errorf("alarm at %s, row says %s", at, w.account(a.ID).RefreshAt)
		}
	})

	t.Run("an unwell Threads is asked again, ever more slowly, and ends no connection", func(t *testing.T) {
		w := setup(t)
		a := w.planned("user_1", "ada")
		for i, fault := range []threadssim.Fault{
			{Kind: threadssim.Edge5xx},
			{Kind: threadssim.ErrorBeforeCommit},
			{Kind: threadssim.ErrorAfterCommit}, // a new token was made, and we shall never know it
			{Kind: threadssim.ErrorBeforeCommit, HTTP: 500, Code: 10},
			{Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100},
			{Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 368},
		} {
			fault.Op = threads.OpRefresh
			if err := w.sim.Inject(fault); err != nil {
				t.Fatal(err)
			}
			w.due(a.ID)
			b := w.account(a.ID)
			if pause := b.RefreshAt.Sub(w.clock.now()); pause != time.Minute<<i {
				t.Errorf("after failure %d: next try in %s", i+1, pause)
			}
			if b.Status != events.ConnectionActive || b.RefreshLease != "" || !bytes.Equal(b.Sealed, a.Sealed) || !w.works(a.ID) {
				t.Fatalf("after failure %d: %+v", i+1, b)
			}
			if at := w.alarm(a.ID); !at.Equal(b.RefreshAt) {
				t.Errorf("after failure %d: alarm at %s, row says %s", i+1, at, b.RefreshAt)
			}
			w.clock.pass(time.Minute << i)
		}
		w.due(a.ID)
		if b := w.account(a.ID); bytes.Equal(b.Sealed, a.Sealed) || b.RefreshFailures != 0 {
			t.Errorf("not refreshed after all: %+v", b)
		}
	})

	t.Run("a token that Threads has revoked means that the account must be connected again", func(t *testing.T) {
		w := setup(t)
		a := w.planned("user_1", "ada")
		if err := w.sim.Revoke("ada", 460); err != nil {
			t.Fatal(err)
		}
		w.due(a.ID)
		if emitted := w.emittedTypes(a.ID); !slices.Equal(emitted, []string{"account.reconnect_required.v1"}) {
			t.Errorf("told %v", emitted)
		}
		if b := w.account(a.ID); b.Status != events.ConnectionReconnectRequired || b.Reason == nil {
			t.Errorf("%+v", b)
		}
		w.due(a.ID)
		if n := w.wire.count(); n != 1 {
			t.Errorf("asked Threads %d times with a dead token", n)
		}
	})

	t.Run("an expired token too, without asking", func(t *testing.T) {
		w := setup(t)
		a := w.planned("user_1", "ada")
		w.clock.pass(60 * day)
		w.due(a.ID)
		if b := w.account(a.ID); b.Status != events.ConnectionReconnectRequired || w.wire.count() != 0 {
			t.Errorf("status %s after %d calls", b.Status, w.wire.count())
		}
		bustest.Await(t, w.bus, func(ev events.AccountReconnectRequired) bool { return ev.Connection.ID == a.ID })
	})

	t.Run("a reconnect under our hands wins, whatever Threads says of the old token", func(t *testing.T) {
		for _, answer := range []string{"refused", "refreshed"} {
			t.Run(answer, func(t *testing.T) {
				w := setup(t)
				a := w.planned("user_1", "ada")
				var anew accounts.Account
				w.wire.set(func(rw http.ResponseWriter, _ *http.Request) bool {
					anew = w.connect("user_1", "ada")
					if answer == "refused" {
						refuse190(rw)
						return true
					}
					return false
				})
				w.due(a.ID)
				b := w.account(a.ID)
				if b.Status != events.ConnectionActive || !bytes.Equal(b.Sealed, anew.Sealed) || b.Rev != anew.Rev {
					t.Errorf("got %+v, want %+v", b, anew)
				}
			})
		}
	})

	t.Run("an account that is disconnected under our hands stays so", func(t *testing.T) {
		w := setup(t)
		a := w.planned("user_1", "ada")
		w.wire.set(func(http.ResponseWriter, *http.Request) bool {
			_, _, err := accounts.Disconnect(context.Background(), w.db, a.ID, w.clock.now())
			if err != nil {
				t.Error(err)
			}
			return false
		})
		w.due(a.ID)
		if b := w.account(a.ID); b.Status != events.ConnectionDisconnected || b.Sealed != nil {
			t.Errorf("%+v", b)
		}
	})

	t.Run("of many who are woken at once, one asks Threads", func(t *testing.T) {
		w := setup(t)
		a := w.planned("user_1", "ada")
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() { _ = w.svc.Due(t.Context(), bus.Delivery{}, a.ID) }) // the others are told: later
		}
		wg.Wait()
		if n := w.wire.count(); n != 1 {
			t.Errorf("Threads was asked %d times", n)
		}
	})

	t.Run("while another one has the account in hand the message is kept", func(t *testing.T) {
		w := setup(t)
		a := w.planned("user_1", "ada")
		if _, ok, err := accounts.ClaimRefresh(t.Context(), w.db, a, "another", time.Minute); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if err := w.svc.Due(t.Context(), bus.Delivery{}, a.ID); err == nil {
			t.Error("the message was taken as done; if the other one dies, nobody comes back")
		}
		if n := w.wire.count(); n != 0 {
			t.Errorf("asked Threads %d times", n)
		}
	})

	t.Run("a stop in the middle of the call gives the lease back and counts as no failure", func(t *testing.T) {
		w := setup(t)
		a := w.planned("user_1", "ada")
		ctx, stop := context.WithCancel(t.Context())
		w.wire.set(func(_ http.ResponseWriter, r *http.Request) bool {
			stop()
			<-r.Context().Done() // the caller has hung up
			return true
		})
		if err := w.svc.Due(ctx, bus.Delivery{}, a.ID); err == nil {
			t.Error("the message was taken as done")
		}
		if b := w.account(a.ID); b.RefreshLease != "" || b.RefreshFailures != 0 || !b.RefreshAt.Equal(a.RefreshAt) {
			t.Errorf("lease %q, failures %d, next %s", b.RefreshLease, b.RefreshFailures, b.RefreshAt)
		}
	})

	t.Run("nothing is done for an account that is gone", func(t *testing.T) {
		w := setup(t)
		w.due("acct_none")
		a := w.planned("user_1", "ada")
		if _, _, err := accounts.Disconnect(t.Context(), w.db, a.ID, w.clock.now()); err != nil {
			t.Fatal(err)
		}
		w.due(a.ID)
		if n := w.wire.count(); n != 0 {
			t.Errorf("asked Threads %d times", n)
		}
	})
}

// refuse190 is Threads saying that it does not take a token.
func refuse190(w http.ResponseWriter) {
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write([]byte(`{"error":{"message":"Error validating access token","type":"OAuthException","code":190}}`))
}
