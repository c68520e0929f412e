package delivery_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// reconnectAtOnce disconnects the account and connects it again before anybody has heard of it.
func (r *rig) reconnectAtOnce(scopes ...string) {
	r.t.Helper()
	var gone accounts.Account
	err := pg.InTx(r.t.Context(), r.db, func(ctx context.Context, tx bun.Tx) (err error) {
		gone, _, err = accounts.Disconnect(ctx, tx, r.account.ID, time.Now())
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	back := r.connect(testUser, "demo.user", scopes...)
	for _, ev := range []events.Event{events.NewAccountDisconnected(gone.Connection()), events.NewAccountConnected(back.Connection())} {
		if err := r.bus.Emit(r.t.Context(), ev); err != nil {
			r.t.Fatal(err)
		}
	}
}

// That the queue is cancelled is true from the moment at which it is said.
func TestReconnectRevivesNothing(t *testing.T) {
	t.Parallel()

	t.Run("not what waits for its time", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.start()
		soon, later := r.schedule(3*time.Second, "soon"), r.schedule(time.Hour, "later")
		r.row(soon.ID, events.StateReady)
		r.reconnectAtOnce()
		after := r.schedule(time.Until(soon.ScheduledAt)+500*time.Millisecond, "after the reconnect")
		for _, p := range []events.Post{soon, later} {
			if cancelled := r.await(p.ID, events.FactCancelled); cancelled.Status != events.StatusCancelled || cancelled.Reason == nil || cancelled.Reason.Code != events.NotFound {
				t.Errorf("it is %+v", cancelled)
			}
		}
		r.once(r.await(after.ID, events.FactPublished))
		if n, _ := r.arrivals("soon"); n != 0 {
			t.Error("a cancelled post went out")
		}
	})

	t.Run("not what was being asked for", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropRequest})
		r.start()
		p := r.schedule(300*time.Millisecond, "never arrived")
		r.await(p.ID, events.FactUnconfirmed)
		r.reconnectAtOnce()
		r.await(p.ID, events.FactCancelled)
		if n, _ := r.arrivals(p.Text); n != 0 {
			t.Errorf("it arrived %d times", n)
		}
	})

	t.Run("not the rest of a chain, unless its owner has it tried again", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.account = r.connect(testUser, "demo.user", chainScopes...)
		r.inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropRequest, Nth: 2})
		r.start()
		p := r.chain(300*time.Millisecond, "one", "two")
		r.await(p.ID, events.FactUnconfirmed)
		r.reconnectAtOnce(chainScopes...)
		if failed := r.await(p.ID, events.FactFailed); !strings.Contains(failed.Reason.Message, "disconnected") || failed.Parts[1].MediaID != "" {
			t.Errorf("it failed because %+v", failed.Reason)
		}
		if _, fault := r.do(events.RetryPost{PostID: p.ID, UserID: testUser, PublishAt: time.Now()}, 5*time.Second); fault != nil {
			t.Fatal(fault)
		}
		r.threaded(r.await(p.ID, events.FactPublished))
	})

	t.Run("and what is live is told as live", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropResponse})
		r.start()
		p := r.schedule(300*time.Millisecond, "arrived")
		r.await(p.ID, events.FactUnconfirmed)
		r.reconnectAtOnce()
		r.once(r.await(p.ID, events.FactPublished))
	})
}
