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
	"github.com/omni-write/threads/services/publisher/publishertest"
)

// reconnectAtOnce disconnects the account and connects it again before anybody has heard of it.
func (r *system) reconnectAtOnce(scopes ...string) {
	r.T.Helper()
	var gone accounts.Account
	err := pg.InTx(r.T.Context(), r.DB, func(ctx context.Context, tx bun.Tx) (err error) {
		gone, _, err = accounts.Disconnect(ctx, tx, r.Account.ID, time.Now())
		return err
	})
	if err != nil {
		r.T.Fatal(err)
	}
	back := r.Connect(testUser, "demo.user", scopes...)
	for _, ev := range []events.Event{events.NewAccountDisconnected(gone.Connection()), events.NewAccountConnected(back.Connection())} {
		if err := r.Bus.Emit(r.T.Context(), ev); err != nil {
			r.T.Fatal(err)
		}
	}
}

// That the queue is cancelled is true from the moment at which it is said.
func TestReconnectRevivesNothing(t *testing.T) {
	t.Parallel()

	t.Run("not what waits for its time", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		soon, later := r.Schedule(3*time.Second, "soon"), r.Schedule(time.Hour, "later")
		r.Row(soon.ID, events.StateReady)
		r.reconnectAtOnce()
		after := r.Schedule(time.Until(soon.ScheduledAt)+500*time.Millisecond, "after the reconnect")
		for _, p := range []events.Post{soon, later} {
			if cancelled := r.Await(p.ID, events.FactCancelled); cancelled.Status != events.StatusCancelled || cancelled.Reason == nil || cancelled.Reason.Code != events.NotFound {
				t.Errorf("it is %+v", cancelled)
			}
		}
		r.Once(r.Await(after.ID, events.FactPublished))
		if n, _ := r.Arrivals("soon"); n != 0 {
			t.Error("a cancelled post went out")
		}
	})

	t.Run("not what was being asked for", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropRequest})
		r.Start()
		p := r.Schedule(300*time.Millisecond, "never arrived")
		r.Await(p.ID, events.FactUnconfirmed)
		r.reconnectAtOnce()
		r.Await(p.ID, events.FactCancelled)
		if n, _ := r.Arrivals(p.Text); n != 0 {
			t.Errorf("it arrived %d times", n)
		}
	})

	t.Run("not the rest of a chain, unless its owner has it tried again", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Account = r.Connect(testUser, "demo.user", publishertest.ChainScopes...)
		r.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropRequest, Nth: 2})
		r.Start()
		p := r.chain(300*time.Millisecond, "one", "two")
		r.Await(p.ID, events.FactUnconfirmed)
		r.reconnectAtOnce(publishertest.ChainScopes...)
		if failed := r.Await(p.ID, events.FactFailed); !strings.Contains(failed.Reason.Message, "disconnected") || failed.Parts[1].MediaID != "" {
			t.Errorf("it failed because %+v", failed.Reason)
		}
		if _, fault := r.Do(events.RetryPost{PostID: p.ID, UserID: testUser, PublishAt: time.Now()}, 5*time.Second); fault != nil {
			t.Fatal(fault)
		}
		r.threaded(r.Await(p.ID, events.FactPublished))
	})

	t.Run("and what is live is told as live", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropResponse})
		r.Start()
		p := r.Schedule(300*time.Millisecond, "arrived")
		r.Await(p.ID, events.FactUnconfirmed)
		r.reconnectAtOnce()
		r.Once(r.Await(p.ID, events.FactPublished))
	})
}
