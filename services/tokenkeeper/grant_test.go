package tokenkeeper

import (
	"slices"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

func (w *env) private(username string) {
	w.Helper()
	if err := w.sim.SetUserKnobs(username, func(k *threadssim.Knobs) { k.ProfilePrivate = true }); err != nil {
		w.Fatal(err)
	}
}

func (w *env) sweep() {
	w.Helper()
	if err := w.svc.Sweep(w.Context(), bus.Delivery{}, ""); err != nil {
		w.Fatal(err)
	}
}

// refreshed connects an account and keeps it until the given day of its grant.
func (w *env) refreshed(user, name string, until time.Duration) accounts.Account {
	w.Helper()
	a := w.connect(user, name)
	w.clock.pass(40 * day)
	w.sweep()
	w.due(a.ID)
	w.clock.pass(until - 40*day)
	return w.account(a.ID)
}

func (w *env) count(id, typ string) int {
	w.Helper()
	n := 0
	for _, t := range w.emittedTypes(id) {
		if t == typ {
			n++
		}
	}
	return n
}

const (
	soonType     = "account.reconnect_soon.v1"
	requiredType = "account.reconnect_required.v1"
)

func TestGrant(t *testing.T) {
	t.Run("of a private profile its owner is warned once a day from day 80 on, with the posts that come too late", func(t *testing.T) {
		w := setup(t)
		w.private("ada")
		a := w.refreshed("user_1", "ada", 80*day-time.Minute)
		w.sweep()
		if n := w.count(a.ID, soonType); n != 0 || w.account(a.ID).Connection().ReconnectBy != nil {
			t.Fatalf("warned %d times before day 80", n)
		}
		w.post("post_before", a.ID, events.StateScheduled, a.GrantedAt.Add(89*day))
		w.post("post_after", a.ID, events.StateScheduled, a.GrantedAt.Add(91*day))
		w.clock.pass(time.Minute)
		for range 3 {
			w.sweep()
		}
		ev := bustest.Await(t, w.bus, func(ev events.AccountReconnectSoon) bool { return ev.Connection.ID == a.ID })
		by := a.GrantedAt.Add(90 * day).Truncate(time.Second) // Threads tells it in seconds
		if ev.Connection.ReconnectBy == nil || !ev.Connection.ReconnectBy.Equal(by) || ev.Count != 1 || ev.Posts[0].ID != "post_after" {
			t.Errorf("told %+v of %v, want %s", ev.Endangerment, ev.Connection.ReconnectBy, by)
		}
		if c := w.account(a.ID).Connection(); c.ReconnectBy == nil || !c.ReconnectBy.Equal(by) || c.Status != events.ConnectionActive {
			t.Errorf("the connection shows %v, status %s", c.ReconnectBy, c.Status)
		}
		if n := w.count(a.ID, soonType); n != 1 {
			t.Errorf("warned %d times on one day", n)
		}
		w.clock.pass(day)
		w.sweep()
		if n := w.count(a.ID, soonType); n != 2 {
			t.Errorf("warned %d times on two days", n)
		}
	})

	t.Run("at its end the account must be connected again, which a reconnect before it prevents", func(t *testing.T) {
		w := setup(t)
		w.private("ada")
		w.private("bob")
		bob := w.connect("user_2", "bob")
		ada := w.refreshed("user_1", "ada", 40*day)
		w.due(bob.ID)
		w.clock.pass(41 * day)
		w.sweep()
		for _, id := range []string{ada.ID, bob.ID} {
			if c := w.account(id).Connection(); c.ReconnectBy == nil {
				t.Fatalf("%s was not warned: %v", *c.Username, w.emittedTypes(id))
			}
		}
		w.connect("user_2", "bob")
		if c := w.account(bob.ID).Connection(); c.ReconnectBy != nil {
			t.Errorf("after the reconnect it still ends at %s", c.ReconnectBy)
		}
		w.clock.pass(9*day + time.Hour)
		w.sweep()
		if a := w.account(ada.ID); a.Status != events.ConnectionReconnectRequired || w.count(ada.ID, requiredType) != 1 {
			t.Errorf("ada is %s; told %v", a.Status, w.emittedTypes(ada.ID))
		}
		if b := w.account(bob.ID); b.Status != events.ConnectionActive {
			t.Errorf("bob is %s", b.Status)
		}
	})

	t.Run("of a public profile nobody is warned: refreshing renews it", func(t *testing.T) {
		w := setup(t)
		a := w.refreshed("user_1", "ada", 85*day)
		w.sweep()
		b := w.account(a.ID)
		if slices.Contains(w.emittedTypes(a.ID), soonType) || b.Connection().ReconnectBy != nil {
			t.Errorf("warned: %v", w.emittedTypes(a.ID))
		}
		if want := a.IssuedAt.Add(90 * day); b.GrantEndsAt.Sub(want).Abs() > time.Second || b.Rev != a.Rev {
			t.Errorf("the grant ends %s, want %s; rev %d, was %d", b.GrantEndsAt, want, b.Rev, a.Rev)
		}
	})

	t.Run("a bad moment of Threads costs nobody the warning of the day", func(t *testing.T) {
		w := setup(t)
		w.private("ada")
		a := w.refreshed("user_1", "ada", 85*day)
		w.unwell(grantLooks - 1)
		w.sweep()
		if n := w.count(a.ID, soonType); n != 1 {
			t.Errorf("warned %d times", n)
		}
	})

	t.Run("a Threads that stays unwell ends nothing and is asked again by the next sweep", func(t *testing.T) {
		w := setup(t)
		w.private("ada")
		a := w.refreshed("user_1", "ada", 85*day)
		w.unwell(grantLooks)
		w.sweep()
		if n := w.count(a.ID, soonType); n != 0 || w.account(a.ID).Status != events.ConnectionActive {
			t.Errorf("told %v, status %s", w.emittedTypes(a.ID), w.account(a.ID).Status)
		}
		w.sweep()
		if n := w.count(a.ID, soonType); n != 1 {
			t.Errorf("warned %d times", n)
		}
	})

	t.Run("of two keepers that sweep at once, one tells", func(t *testing.T) {
		w := setup(t)
		w.private("ada")
		a := w.refreshed("user_1", "ada", 85*day)
		done := make(chan error)
		for range 4 {
			go func() { done <- w.svc.Sweep(t.Context(), bus.Delivery{}, "") }()
		}
		for range 4 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := w.count(a.ID, soonType); n != 1 {
			t.Errorf("warned %d times", n)
		}
	})
}

// unwell has Threads fail the next calls that ask how long a grant lasts.
func (w *env) unwell(calls int) {
	w.Helper()
	if err := w.sim.Inject(threadssim.Fault{Op: threads.OpDebugToken, Kind: threadssim.Edge5xx, Times: calls}); err != nil {
		w.Fatal(err)
	}
}

// post is a row of the publisher's.
func (w *env) post(id, accountID string, state events.State, at time.Time) {
	w.Helper()
	_, err := w.db.NewRaw(`INSERT INTO posts (id, user_id, account_id, text, content_hash, publish_at, publish_within,
		state, created_at, updated_at, rev, fact) VALUES (?, 'user_1', ?, '', '', ?, 60, ?, ?, ?, 1, 'scheduled')`,
		id, accountID, at, state, at, at).Exec(w.Context())
	if err != nil {
		w.Fatal(err)
	}
}
