package delivery_test

import (
	"context"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/services/publisher/delivery"
	"github.com/omni-write/threads/services/publisher/maintenance"
)

// A publisher that was claiming while the account was paused: either its claim comes first, and the pause waits for its
// call, or it finds the account paused.
func TestPauseWaitsForACallOnItsWay(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.Lease, r.Config.CallTimeout = time.Hour, time.Hour // the claim stands however long the test takes,
	r.Config.LeadText = 2 * time.Hour                           // and neither post is due before it is made so
	r.UseSim(r.Sim)
	s, stop := r.Start()
	p, late := r.Schedule(time.Hour, "claimed"), r.Schedule(time.Hour, "read before the pause")
	r.Row(p.ID, events.StateReady)
	r.Row(late.ID, events.StateReady)
	stop()
	useBus(s, r.Bus)
	if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET publish_at = now(), wake_at = now()"); err != nil {
		t.Fatal(err)
	}
	before, lateRow := r.Row(p.ID, events.StateReady), r.Row(late.ID, events.StateReady)
	claimed, err := s.Delivery.Claim(t.Context(), &before)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Delivery.Access(t.Context(), claimed)
	if err != nil {
		t.Fatal(err)
	}
	pauser := maintenance.Pauser{Bus: r.Bus, DB: r.DB}
	returned, waited := make(chan error, 1), make(chan struct{}, 1)
	go func() {
		pauser := pauser
		pauser.Progress = func(int64) {
			select {
			case waited <- struct{}{}:
			default:
			}
		}
		_, err := pauser.Pause(t.Context(), r.Account.ID, "")
		returned <- err
	}()
	select {
	case <-waited:
	case err := <-returned:
		t.Fatalf("the pause returned (%v) while a claimed post was about to be called", err)
	}
	if end, err := s.Delivery.Call(context.Background(), &before, claimed, a, func() {}); err != nil || end != delivery.Final {
		t.Fatal(err)
	}
	if err := <-returned; err != nil {
		t.Fatal(err)
	}
	if n, _ := r.Arrivals("claimed"); n != 1 {
		t.Errorf("Threads has the claimed post %d times", n)
	}
	// The other was read, with its account, before the pause.
	if end, err := s.Delivery.ClaimAndCall(context.Background(), &lateRow, a, func() {}); err != nil || end != delivery.Moved {
		t.Fatal(err)
	}
	if row := r.Row(late.ID, events.StateWaiting); row.Reason.Code != events.Paused || row.Attempt != 0 {
		t.Errorf("the row is %+v", row)
	}
	if n, _ := r.Arrivals("read before the pause"); n != 0 {
		t.Error("it went out")
	}
	// Resumed between the worker's look at the account and its writing that the post waits: nobody else would wake it.
	stale, err := s.Delivery.Access(t.Context(), &lateRow)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pauser.Resume(t.Context(), r.Account.ID); err != nil {
		t.Fatal(err)
	}
	row := r.Row(late.ID, events.StateWaiting)
	if err := s.Delivery.Paused(t.Context(), &row, stale); err != nil {
		t.Fatal(err)
	}
	if row := r.Row(late.ID, events.StateWaiting); row.WakeAt.After(time.Now()) {
		t.Errorf("it sleeps until %s though the account is resumed", row.WakeAt)
	}
}
