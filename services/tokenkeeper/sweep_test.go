package tokenkeeper

import (
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

func TestAlarms(t *testing.T) {
	t.Run("an account that is connected gets one, and loses it when it is disconnected", func(t *testing.T) {
		w := setup(t)
		w.run()
		a := w.connect("user_1", "ada")
		w.emitChange(a.ID)
		waiting.Until(w, "the alarm is set", func() bool { return !w.alarm(a.ID).IsZero() })
		if at := w.alarm(a.ID); !at.Equal(refreshAt(a.ID, a.IssuedAt, a.ExpiresAt).Truncate(time.Microsecond)) {
			t.Errorf("alarm at %s", at)
		}
		if _, _, err := accounts.Disconnect(t.Context(), w.db, a.ID, w.clock.now()); err != nil {
			t.Fatal(err)
		}
		w.emitChange(a.ID)
		waiting.Until(w, "the alarm is gone", func() bool { return w.alarm(a.ID).IsZero() })
	})

	t.Run("when it goes off, the token is refreshed and the next one is set", func(t *testing.T) {
		w := setup(t)
		w.run()
		a := w.planned("user_1", "ada")
		if err := w.bus.Wake(t.Context(), events.TokenDue(a.ID), time.Time{}); err != nil {
			t.Fatal(err)
		}
		bustest.Await(t, w.bus, func(ev events.TokenRefreshed) bool { return ev.Connection.ID == a.ID })
		waiting.Until(w, "the next alarm is set", func() bool { return w.alarm(a.ID).Equal(w.account(a.ID).RefreshAt) })
	})

	t.Run("facts of an account that nobody knows any more do no harm", func(t *testing.T) {
		w := setup(t)
		gone := events.NewAccountConnected(events.Connection{ID: events.NewAccountID(), Rev: 1})
		if err := w.svc.AccountConnected(t.Context(), bus.Delivery{}, gone); err != nil {
			t.Error(err)
		}
	})

	t.Run("one that is set while its account is erased does not outlive it", func(t *testing.T) {
		w := setup(t)
		a := w.connect("user_1", "ada")
		a.RefreshAt = w.clock.now().Add(time.Hour) // as somebody read it before the erasure
		if _, err := w.db.NewDelete().Model(&a).Where("id = ?", a.ID).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.svc.arm(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if at := w.alarm(a.ID); !at.IsZero() {
			t.Errorf("alarm at %s", at)
		}
	})

	t.Run("the tick is noted", func(t *testing.T) {
		w := setup(t)
		w.run()
		if err := w.bus.Wake(t.Context(), events.TokenTickDue, time.Time{}); err != nil {
			t.Fatal(err)
		}
		waiting.Until(w, "the tick is noted", func() bool { return w.svc.LastTick().Equal(w.clock.now()) })
	})
}

func TestSweep(t *testing.T) {
	t.Run("at start it makes up for the time when nobody kept the tokens", func(t *testing.T) {
		w := setup(t)
		overdue := w.planned("user_1", "ada") // its alarm is of no use: its stream is wiped
		w.wipeAlarms()
		fresh := w.connect("user_2", "bob") // connected and without an event
		w.run()
		bustest.Await(t, w.bus, func(ev events.TokenRefreshed) bool { return ev.Connection.ID == overdue.ID })
		bustest.Await(t, w.bus, func(ev events.AccountConnected) bool { return ev.Connection.ID == fresh.ID })
		waiting.Until(w, "the fresh account has an alarm", func() bool { return !w.alarm(fresh.ID).IsZero() })
		if n := w.wire.count(); n != 1 {
			t.Errorf("asked Threads %d times", n)
		}
	})

	t.Run("daily it sets the alarms of the next day anew, and leaves the others be", func(t *testing.T) {
		w := setup(t)
		near, far := w.connect("user_1", "ada"), w.connect("user_2", "bob")
		for _, a := range []accounts.Account{near, far} {
			if err := w.svc.settle(t.Context(), a.ID); err != nil {
				t.Fatal(err)
			}
		}
		near, far = w.account(near.ID), w.account(far.ID)
		if near.RefreshAt.After(far.RefreshAt) {
			near, far = far, near
		}
		w.clock.pass(near.RefreshAt.Sub(w.clock.now()) - 24*time.Hour)
		if far.RefreshAt.Sub(near.RefreshAt) < 2*time.Hour { // their jitters may be alike: make room
			if _, _, err := accounts.PlanRefresh(t.Context(), w.db, far, far.RefreshAt.Add(day)); err != nil {
				t.Fatal(err)
			}
		}
		w.wipeAlarms()
		if err := w.svc.Sweep(t.Context(), bus.Delivery{}, ""); err != nil {
			t.Fatal(err)
		}
		if at := w.alarm(near.ID); !at.Equal(near.RefreshAt) {
			t.Errorf("the near one's alarm: %s, want %s", at, near.RefreshAt)
		}
		if at := w.alarm(far.ID); !at.IsZero() {
			t.Errorf("the far one's alarm was set: %s", at)
		}
	})
}

func (w *env) emitChange(id string) {
	w.Helper()
	if err := accounts.EmitChange(w.Context(), w.db, w.bus.Emit, id); err != nil {
		w.Fatal(err)
	}
}

func (w *env) wipeAlarms() {
	w.Helper()
	stream, err := w.bus.JetStream().Stream(w.Context(), events.StreamTokenAlarms)
	if err != nil {
		w.Fatal(err)
	}
	if err := stream.Purge(w.Context()); err != nil {
		w.Fatal(err)
	}
}
