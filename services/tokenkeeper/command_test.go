package tokenkeeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func TestRefreshToken(t *testing.T) {
	t.Run("an owner's wish is done at once from a day of age on", func(t *testing.T) {
		w := setup(t)
		w.run()
		a := w.connect("user_1", "ada")
		w.clock.pass(youngest)
		o, err := w.bus.Do(t.Context(), events.RefreshToken{UserID: "user_1"}, bus.CommandOptions{ID: events.NewCommandID()}, waiting.Limit)
		if err != nil || !o.Done || o.Fault != nil {
			t.Fatalf("outcome %+v, %v", o, err)
		}
		var c events.Connection
		if err := json.Unmarshal(o.Result, &c); err != nil {
			t.Fatal(err)
		}
		if c.ID != a.ID || !c.AccessTokenExpiresAt.After(a.ExpiresAt) || !w.works(a.ID) {
			t.Errorf("result %s", o.Result)
		}
	})

	t.Run("before that it is refused with the time from which it will be done", func(t *testing.T) {
		w := setup(t)
		a := w.connect("user_1", "ada")
		w.clock.pass(youngest - time.Second)
		cmd, d := command("user_1", "")
		_, err := w.svc.RefreshToken(t.Context(), d, cmd)
		f := fault(t, err, events.Conflict)
		if !strings.Contains(f.Message, a.IssuedAt.Add(youngest).Format("15:04 UTC")) || f.RetryAfter != 1 {
			t.Errorf("fault %+v", f)
		}
		if n := w.wire.count(); n != 0 {
			t.Errorf("asked Threads %d times", n)
		}
		w.clock.pass(time.Second)
		_, err = w.svc.RefreshToken(t.Context(), d, cmd)
		if again := fault(t, err, events.Conflict); again.Message != f.Message {
			t.Errorf("the second time: %s", again.Message)
		}
	})

	t.Run("delivered twice it refreshes once and answers the same", func(t *testing.T) {
		w := setup(t)
		a := w.connect("user_1", "ada")
		w.clock.pass(48 * time.Hour)
		cmd, d := command("user_1", a.ID)
		first, err := w.svc.RefreshToken(t.Context(), d, cmd)
		if err != nil {
			t.Fatal(err)
		}
		// As if the process had died between the commit and the event.
		if _, err := w.db.NewRaw("UPDATE social_connections SET told_rev = 0").Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		second, err := w.svc.RefreshToken(t.Context(), d, cmd)
		if err != nil {
			t.Fatal(err)
		}
		one, _ := json.Marshal(first)
		two, _ := json.Marshal(second)
		if string(one) != string(two) || w.wire.count() != 1 {
			t.Errorf("%d refreshes\nfirst  %s\nsecond %s", w.wire.count(), one, two)
		}
		if b := w.account(a.ID); b.EmittedRev != b.Rev {
			t.Errorf("rev %d, told %d", b.Rev, b.EmittedRev)
		}
	})

	t.Run("an unwell Threads refuses it and leaves the plan as it was", func(t *testing.T) {
		w := setup(t)
		a := w.connect("user_1", "ada")
		if err := w.svc.settle(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}
		a = w.account(a.ID)
		w.clock.pass(48 * time.Hour)
		if err := w.sim.Inject(threadssim.Fault{Op: threads.OpRefresh, Kind: threadssim.Edge5xx}); err != nil {
			t.Fatal(err)
		}
		w.run()
		o, err := w.bus.Do(t.Context(), events.RefreshToken{UserID: "user_1"}, bus.CommandOptions{ID: events.NewCommandID()}, waiting.Limit)
		if err != nil || !o.Done || o.Fault == nil || o.Fault.Code != events.Unavailable {
			t.Fatalf("outcome %+v, %v", o, err)
		}
		if b := w.account(a.ID); b.RefreshLease != "" || !b.RefreshAt.Equal(a.RefreshAt) || b.RefreshFailures != 0 || b.Rev != a.Rev {
			t.Errorf("after:  %+v\nbefore: %+v", b, a)
		}
	})

	t.Run("a dead token is said to be one", func(t *testing.T) {
		w := setup(t)
		a := w.connect("user_1", "ada")
		w.clock.pass(48 * time.Hour)
		if err := w.sim.Revoke("ada", 0); err != nil {
			t.Fatal(err)
		}
		for range 2 { // found out the first time, known the second
			cmd, d := command("user_1", "")
			_, err := w.svc.RefreshToken(t.Context(), d, cmd)
			fault(t, err, events.ReauthRequired)
		}
		if n := w.wire.count(); n != 1 || w.account(a.ID).Status != events.ConnectionReconnectRequired {
			t.Errorf("%d calls, status %s", n, w.account(a.ID).Status)
		}
	})

	t.Run("a reconnect under our hands leaves nothing to refresh, whatever Threads says of the old token", func(t *testing.T) {
		for _, refused := range []bool{true, false} {
			t.Run(fmt.Sprint("refused ", refused), func(t *testing.T) {
				w := setup(t)
				a := w.connect("user_1", "ada")
				w.clock.pass(48 * time.Hour)
				w.wire.set(func(rw http.ResponseWriter, _ *http.Request) bool {
					w.connect("user_1", "ada")
					if refused {
						refuse190(rw)
					}
					return refused
				})
				cmd, d := command("user_1", "")
				_, err := w.svc.RefreshToken(t.Context(), d, cmd)
				fault(t, err, events.Conflict)
				if b := w.account(a.ID); b.Status != events.ConnectionActive {
					t.Errorf("status %s", b.Status)
				}
			})
		}
	})

	t.Run("a stop in the middle of the call leaves the command to another instance", func(t *testing.T) {
		w := setup(t)
		a := w.connect("user_1", "ada")
		w.clock.pass(48 * time.Hour)
		ctx, stop := context.WithCancel(t.Context())
		w.wire.set(func(_ http.ResponseWriter, r *http.Request) bool {
			stop()
			<-r.Context().Done()
			return true
		})
		cmd, d := command("user_1", "")
		_, err := w.svc.RefreshToken(ctx, d, cmd)
		if _, isFault := errors.AsType[*events.Fault](err); err == nil || isFault {
			t.Fatalf("an outcome was made up: %v", err)
		}
		w.wire.set(nil)
		if _, err := w.svc.RefreshToken(t.Context(), d, cmd); err != nil {
			t.Errorf("redelivered: %v", err)
		}
		if !w.works(a.ID) {
			t.Error("the token does not work")
		}
	})

	t.Run("nobody refreshes another's token", func(t *testing.T) {
		w := setup(t)
		a := w.connect("user_1", "ada")
		w.clock.pass(48 * time.Hour)
		cmd, d := command("user_2", a.ID)
		_, err := w.svc.RefreshToken(t.Context(), d, cmd)
		fault(t, err, events.NotFound)
	})
}

// command is a command as its durable delivers it.
func command(user, accountID string) (events.RefreshToken, bus.Delivery) {
	cmd := events.RefreshToken{UserID: user, AccountID: accountID}
	return cmd, bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Type: cmd.Type()}}
}

func fault(t *testing.T, err error, code events.Code) *events.Fault {
	t.Helper()
	f, ok := errors.AsType[*events.Fault](err)
	if !ok || f.Code != code {
		t.Fatalf("got %v, want a fault %s", err, code)
	}
	return f
}
