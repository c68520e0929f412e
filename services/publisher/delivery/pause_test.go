package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/services/publisher/delivery"
	"github.com/omni-write/threads/services/publisher/maintenance"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
)

func (r *rig) pauser() maintenance.Pauser { return maintenance.Pauser{Bus: r.bus, DB: r.db} }

// in counts the posts in a state.
func (r *rig) in(state events.State) int {
	r.t.Helper()
	n, err := r.db.NewSelect().Model((*posts.Post)(nil)).Where("state = ?", state).Count(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return int(n)
}

// becomes waits until so many posts are in a state.
func (r *rig) becomes(n int, state events.State) {
	r.t.Helper()
	deadline := time.Now().Add(3 * waiting.Limit) // hundreds of posts
	for r.in(state) != n {
		if time.Now().After(deadline) {
			r.t.Fatalf("%d posts are %s, want %d", r.in(state), state, n)
		}
		clock.Sleep(r.t.Context(), 10*time.Millisecond)
	}
}

// publishCalls is when Threads was asked to publish something.
func (r *rig) publishCalls() (at []time.Time) {
	for _, c := range r.sim.Calls() {
		if c.Op == threads.OpPublish {
			at = append(at, time.Unix(0, c.AtNS))
		}
	}
	return at
}

// A pause in the middle of two hundred posts that are due: what was not called when it returned is not called after it.
func TestPauseAmongDuePosts(t *testing.T) {
	t.Parallel()
	const list = 200
	r := newRig(t)
	_, stop := r.start()
	ids := make([]string, list)
	for i := range ids {
		ids[i] = r.schedule(time.Minute, fmt.Sprintf("due %03d", i)).ID
	}
	r.becomes(list, events.StateReady)
	if _, err := r.db.ExecContext(t.Context(), "UPDATE posts SET publish_at = now() + interval '1 second', wake_at = now() - interval '1 hour', armed_at = NULL"); err != nil {
		t.Fatal(err)
	}
	for len(r.publishCalls()) < 20 {
		clock.Sleep(t.Context(), time.Millisecond)
	}
	paused, err := r.pauser().Pause(t.Context(), r.account.ID, "a look at the profile")
	returned := time.Now()
	if err != nil {
		t.Fatal(err)
	}
	before := len(r.publishCalls())
	if before == list || paused.Queued != list-before || !paused.Told || paused.Already || paused.Account.PauseReason != "a look at the profile" {
		t.Fatalf("%d calls were made before the pause returned, which says %+v", before, paused)
	}
	if first := paused.FirstMissed; first == nil || time.Until(*first) > 25*time.Hour || time.Until(*first) < 23*time.Hour {
		t.Errorf("the first is given up at %v", first)
	}
	r.becomes(list-before, events.StateWaiting)

	stop() // it survives a restart
	_, stop = r.start()
	extra := r.schedule(200*time.Millisecond, "scheduled while paused")
	held := r.await(extra.ID, events.FactPostponed)
	if held.Reason == nil || held.Reason.Code != events.Paused || !strings.Contains(held.Reason.Message, "a look at the profile") {
		t.Errorf("it waits because of %+v", held.Reason)
	}
	if r.told(extra.ID, events.FactPrepared) != 1 {
		t.Error("it was not prepared")
	}
	if calls := r.publishCalls(); len(calls) != before || slices.MaxFunc(calls, time.Time.Compare).After(returned) {
		t.Fatalf("%d calls were made, %d of them before the pause returned", len(calls), before)
	}
	// Looked at again while the account is still paused, a post stays as it is, and nothing is told twice.
	if _, err := r.db.ExecContext(t.Context(), "UPDATE posts SET wake_at = now() - interval '1 hour', armed_at = NULL WHERE id = ?", extra.ID); err != nil {
		t.Fatal(err)
	}
	for looked := false; !looked; clock.Sleep(t.Context(), 10*time.Millisecond) {
		looked = r.row(extra.ID, events.StateWaiting).WakeAt.After(time.Now().Add(30 * time.Minute))
	}
	if n := r.told(extra.ID, events.FactPostponed); n != 1 {
		t.Errorf("that it waits was told %d times", n)
	}
	stop()
	r.start()

	resumed, err := r.pauser().Resume(t.Context(), r.account.ID)
	if err != nil || resumed.Account.PausedAt != nil || resumed.Account.PauseReason != "" || resumed.Queued != list-before+1 {
		t.Fatalf("resumed as %+v: %v", resumed, err)
	}
	r.becomes(list+1, events.StatePublished)
	live := map[string]int{}
	for _, p := range r.sim.Posts() {
		live[p.Text]++
	}
	if len(live) != list+1 || len(r.sim.Posts()) != list+1 {
		t.Errorf("Threads has %d posts, %d of them different", len(r.sim.Posts()), len(live))
	}
	for _, typ := range []string{events.AccountPaused{}.Type(), events.AccountResumed{}.Type()} {
		bustest.Await(t, r.bus, func(ev events.AccountEvent) bool { return ev.Type() == typ && ev.Account().ID == r.account.ID })
	}
}

// A publisher that was claiming while the account was paused: either its claim comes first, and the pause waits for its
// call, or it finds the account paused.
func TestPauseWaitsForACallOnItsWay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s, stop := r.start()
	p, late := r.schedule(time.Minute, "claimed"), r.schedule(time.Minute, "read before the pause")
	r.becomes(2, events.StateReady)
	stop()
	useBus(s, r.bus)
	if _, err := r.db.ExecContext(t.Context(), "UPDATE posts SET publish_at = now(), wake_at = now()"); err != nil {
		t.Fatal(err)
	}
	before, lateRow := r.row(p.ID, events.StateReady), r.row(late.ID, events.StateReady)
	claimed, err := s.Delivery.Claim(t.Context(), &before)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Delivery.Access(t.Context(), claimed)
	if err != nil {
		t.Fatal(err)
	}
	returned, waited := make(chan error, 1), make(chan struct{}, 1)
	go func() {
		pauser := r.pauser()
		pauser.Progress = func(int64) {
			select {
			case waited <- struct{}{}:
			default:
			}
		}
		_, err := pauser.Pause(t.Context(), r.account.ID, "")
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
	if n, _ := r.arrivals("claimed"); n != 1 {
		t.Errorf("Threads has the claimed post %d times", n)
	}
	// The other was read, with its account, before the pause.
	if end, err := s.Delivery.ClaimAndCall(context.Background(), &lateRow, a, func() {}); err != nil || end != delivery.Moved {
		t.Fatal(err)
	}
	if row := r.row(late.ID, events.StateWaiting); row.Reason.Code != events.Paused || row.Attempt != 0 {
		t.Errorf("the row is %+v", row)
	}
	if n, _ := r.arrivals("read before the pause"); n != 0 {
		t.Error("it went out")
	}
	// Resumed between the worker's look at the account and its writing that the post waits: nobody else would wake it.
	stale, err := s.Delivery.Access(t.Context(), &lateRow)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.pauser().Resume(t.Context(), r.account.ID); err != nil {
		t.Fatal(err)
	}
	row := r.row(late.ID, events.StateWaiting)
	if err := s.Delivery.Paused(t.Context(), &row, stale); err != nil {
		t.Fatal(err)
	}
	if row := r.row(late.ID, events.StateWaiting); row.WakeAt.After(time.Now()) {
		t.Errorf("it sleeps until %s though the account is resumed", row.WakeAt)
	}
}

// How late a post may be goes on counting.
func TestPausedForTooLong(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if _, err := r.pauser().Pause(t.Context(), r.account.ID, ""); err != nil {
		t.Fatal(err)
	}
	again, err := r.pauser().Pause(t.Context(), r.account.ID, "another reason")
	if err != nil || !again.Already || again.Account.PauseReason != "" {
		t.Fatalf("paused again as %+v: %v", again, err)
	}
	r.start()
	p, fault := r.do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "too long", PublishWithin: 60},
		PublishAt: time.Now().Add(100 * time.Millisecond)}, 5*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	r.await(p.ID, events.FactPostponed)
	row := r.row(p.ID, events.StateWaiting)
	if over := row.WakeAt.Sub(row.PublishAt); over > 62*time.Second {
		t.Errorf("it is looked at %s after its time, and may be a minute late", over)
	}
	if _, err := r.db.ExecContext(t.Context(), "UPDATE posts SET publish_at = now() - interval '2 minutes', wake_at = now() - interval '1 minute', armed_at = NULL"); err != nil {
		t.Fatal(err)
	}
	if failed := r.await(p.ID, events.FactFailed); failed.Reason.Code != events.Missed || !strings.Contains(failed.Reason.Message, "paused") {
		t.Errorf("it failed because of %+v", failed.Reason)
	}
	if len(r.sim.Posts()) != 0 {
		t.Error("it went out")
	}
	for id, words := range map[string]string{"acct_none": "there is no account"} {
		if _, err := r.pauser().Pause(t.Context(), id, ""); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := r.pauser().Pause(t.Context(), r.account.ID, "two\nlines"); err == nil {
		t.Error("a reason of two lines passed")
	}
}
