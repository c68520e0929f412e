package auth

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

func TestDisconnect(t *testing.T) {
	t.Run("the token is gone, the account too, and everyone hears of it", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		o, err := w.bus.Do(t.Context(), events.Disconnect{UserID: "user_1"}, bus.CommandOptions{ID: events.NewCommandID()}, waiting.Limit)
		if err != nil || !o.Done || o.Fault != nil {
			t.Fatalf("outcome %+v, %v", o, err)
		}
		var gone events.Connection
		if err := json.Unmarshal(o.Result, &gone); err != nil || gone.ID != c.ID || gone.Status != events.ConnectionDisconnected {
			t.Errorf("result %s, %v", o.Result, err)
		}
		bustest.Await(t, w.bus, func(ev events.AccountDisconnected) bool { return ev.Connection.ID == c.ID })
		if a := w.account(c.ID); a.Sealed != nil || !a.ExpiresAt.IsZero() {
			t.Errorf("the token is still there: %+v", a)
		}
		w.nothingConnected("user_1")
		_, err = ask[asks.Profile](w, asks.GetProfile{UserID: "user_1"})
		refusedAs(t, err, events.NotFound, "")
		_, err = ask[asks.Profile](w, asks.GetProfile{UserID: "user_1", AccountID: c.ID})
		refusedAs(t, err, events.NotFound, "")
	})

	t.Run("delivered twice it answers the same, and tells what a crash left untold", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		cmd, d := w.command(events.Disconnect{UserID: "user_1", AccountID: c.ID})
		first, err := w.svc.Disconnect(t.Context(), d, cmd)
		if err != nil {
			t.Fatal(err)
		}
		// As if the process had died between the commit and the event.
		if _, err := w.db.NewRaw("UPDATE social_connections SET told_rev = 0 WHERE id = ?", c.ID).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		second, err := w.svc.Disconnect(t.Context(), d, cmd)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := jsonOf(t, first), jsonOf(t, second); a != b {
			t.Errorf("first  %s\nsecond %s", a, b)
		}
		if a := w.account(c.ID); a.EmittedRev != a.Rev || a.Rev != 2 {
			t.Errorf("rev %d, told %d", a.Rev, a.EmittedRev)
		}
	})

	t.Run("a refusal is the same the second time, whatever has come between", func(t *testing.T) {
		w := setup(t)
		cmd, d := w.command(events.Disconnect{UserID: "user_1"})
		_, err := w.svc.Disconnect(t.Context(), d, cmd)
		refusedAs(t, err, events.NotFound, "")
		c := w.connect("user_1", "ada")
		_, err = w.svc.Disconnect(t.Context(), d, cmd)
		refusedAs(t, err, events.NotFound, "")
		if a := w.account(c.ID); a.Status != events.ConnectionActive {
			t.Error("the repeat of an old refusal disconnected a new account")
		}
	})

	t.Run("nobody disconnects another's account", func(t *testing.T) {
		w := setup(t)
		c := w.connect("user_1", "ada")
		cmd, d := w.command(events.Disconnect{UserID: "user_2", AccountID: c.ID})
		_, err := w.svc.Disconnect(t.Context(), d, cmd)
		refusedAs(t, err, events.NotFound, "")
		if a := w.account(c.ID); a.Status != events.ConnectionActive {
			t.Errorf("status %s", a.Status)
		}
	})
}

func TestEmitMissing(t *testing.T) {
	w := prepare(t)
	t.Parallel()
	var a accounts.Account
	err := pg.InTx(t.Context(), w.db, func(ctx context.Context, tx bun.Tx) error {
		var err error
		a, err = accounts.Connect(ctx, tx, w.vault, accounts.Grant{
			UserID: "user_1", ProviderUserID: "1", Token: "t", ExpiresAt: time.Now().Add(time.Hour),
		}, time.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.run() // the process that connected it died before it could emit
	bustest.Await(t, w.bus, func(ev events.AccountConnected) bool { return ev.Connection.ID == a.ID })
}

func (w *env) account(id string) accounts.Account {
	w.Helper()
	a, err := accounts.Get(w.Context(), w.db, id)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

// command is a command as its durable delivers it.
func (w *env) command(cmd events.Disconnect) (events.Disconnect, bus.Delivery) {
	return cmd, bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Type: cmd.Type()}}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
