package auth

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// stone reads a tombstone, and plays publisher where it is its turn.
func (w *env) stone(id string) accounts.Tombstone {
	w.Helper()
	var t accounts.Tombstone
	if err := w.db.NewSelect().Model(&t).Where("account_id = ?", id).Scan(w.Context()); err != nil {
		w.Fatal(err)
	}
	if t.Stage == accounts.StageRows {
		err := pg.InTx(w.Context(), w.db, func(ctx context.Context, tx bun.Tx) error {
			return t.Pass(ctx, tx, accounts.StageStreams, time.Now(), time.Now())
		})
		if err != nil {
			w.Fatal(err)
		}
	}
	return t
}

// events counts what EVENTS has of an account, the event of its erasure apart.
func (w *env) facts(id string) int {
	w.Helper()
	s, err := w.bus.JetStream().Stream(w.Context(), events.StreamEvents)
	if err != nil {
		w.Fatal(err)
	}
	left, err := subjectsLeft(w.Context(), s, id, events.AccountFacts(id, "*"), events.PostFacts(id, "*", "*"))
	if err != nil {
		w.Fatal(err)
	}
	return len(left)
}

// late is an event that a worker emits who knows nothing of the erasure.
func (w *env) late(account string) {
	w.Helper()
	p := events.Post{ID: events.NewPostID(), UserID: "user_1", AccountID: account, Text: "late", State: events.StateScheduled, Rev: 1}
	if err := w.bus.Emit(w.Context(), events.NewPostEvent(events.FactScheduled, p)); err != nil {
		w.Fatal(err)
	}
}

// arm sets the refresh alarm of an account.
func (w *env) arm(id string) {
	w.Helper()
	if err := w.bus.Arm(w.Context(), events.TokenAlarm(id), events.TokenDue(id), time.Now().Add(time.Hour), 1, time.Time{}); err != nil {
		w.Fatal(err)
	}
}

// armed says whether an account has a refresh alarm.
func (w *env) armed(id string) bool {
	w.Helper()
	s, err := w.bus.JetStream().Stream(w.Context(), events.StreamTokenAlarms)
	if err != nil {
		w.Fatal(err)
	}
	_, err = s.GetLastMsgForSubject(w.Context(), events.TokenAlarm(id))
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		w.Fatal(err)
	}
	return err == nil
}

func TestErasureComesRound(t *testing.T) {
	t.Parallel()
	w := prepare(t)
	w.svc.cfg.EraseEvery, w.svc.cfg.EraseAgainAfter, w.svc.cfg.EraseWatchEvery = 10*time.Millisecond, time.Hour, 50*time.Millisecond
	w.run()
	c, other := w.connect("user_1", "ada"), w.connect("user_2", "bob")
	w.arm(c.ID)
	w.arm(other.ID)
	begun := must[asks.Erasure](w, asks.ReceiveDataDeletion{Body: w.signed(c.ProviderUserID, time.Now())})
	status := func() asks.ErasureStatus {
		return must[asks.Erasure](w, asks.GetErasure{Code: begun.Code}).Status
	}

	waiting.Until(w, "the first round is over", func() bool { return w.stone(c.ID).Stage == accounts.StageRest })
	if n := w.facts(c.ID); n != 0 || w.armed(c.ID) || status() != asks.ErasureRunning {
		t.Errorf("%d facts are left, alarm: %t, and it is %s", n, w.armed(c.ID), status())
	}
	w.arm(c.ID)                                                                                                                       // by a tokenkeeper that has not heard of it yet
	w.late(c.ID)                                                                                                                      // from a call that was under way
	if _, err := w.db.ExecContext(t.Context(), "UPDATE erased_accounts SET next_at = now() WHERE account_id = ?", c.ID); err != nil { // the rest is over
		t.Fatal(err)
	}
	waiting.Until(w, "it is confirmed", func() bool { w.stone(c.ID); return status() == asks.ErasureDone })
	if stone := w.stone(c.ID); stone.Round != 2 || w.facts(c.ID) != 0 || w.armed(c.ID) {
		t.Errorf("confirmed in round %d, with %d facts left, alarm: %t", stone.Round, w.facts(c.ID), w.armed(c.ID))
	}
	w.late(c.ID) // from a process that stood still all the while
	waiting.Until(w, "what came back is gone again", func() bool { w.stone(c.ID); return w.facts(c.ID) == 0 })
	w.arm(c.ID)
	waiting.Until(w, "an alarm that came back is gone again", func() bool { w.stone(c.ID); return !w.armed(c.ID) })
	if !w.armed(other.ID) {
		t.Error("the alarm of another account is gone")
	}
	if status() != asks.ErasureDone {
		t.Errorf("it is %s", status())
	}
	if n := w.facts(other.ID); n == 0 {
		t.Error("the facts of another account are gone")
	}
	s, err := w.bus.JetStream().Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetLastMsgForSubject(t.Context(), (events.AccountErased{AccountID: c.ID}).Subject()); err != nil {
		t.Errorf("the fact of the erasure is gone: %v", err)
	}
}
