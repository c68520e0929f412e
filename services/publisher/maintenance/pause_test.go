package maintenance_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/maintenance"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

func (r *system) pauser() maintenance.Pauser { return maintenance.Pauser{Bus: r.Bus, DB: r.DB} }

// in counts the posts in a state.
func (r *system) in(state events.State) int {
	r.T.Helper()
	n, err := r.DB.NewSelect().Model((*posts.Post)(nil)).Where("state = ?", state).Count(r.T.Context())
	if err != nil {
		r.T.Fatal(err)
	}
	return int(n)
}

// becomes waits until so many posts are in a state.
func (r *system) becomes(n int, state events.State) {
	r.T.Helper()
	deadline := time.Now().Add(3 * waiting.Limit) // hundreds of posts
	for r.in(state) != n {
		if time.Now().After(deadline) {
			r.T.Fatalf("%d posts are %s, want %d", r.in(state), state, n)
		}
		clock.Sleep(r.T.Context(), 10*time.Millisecond)
	}
}

// publishCalls is when Threads was asked to publish something.
func (r *system) publishCalls() (at []time.Time) {
	for _, c := range r.Sim.Calls() {
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
	r := setup(t)
	_, stop := r.Start()
	ids := make([]string, list)
	for i := range ids {
		ids[i] = r.Schedule(time.Minute, fmt.Sprintf("due %03d", i)).ID
	}
	r.becomes(list, events.StateReady)
	if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET publish_at = now() + interval '1 second', wake_at = now() - interval '1 hour', armed_at = NULL"); err != nil {
		t.Fatal(err)
	}
	for len(r.publishCalls()) < 20 {
		clock.Sleep(t.Context(), time.Millisecond)
	}
	paused, err := r.pauser().Pause(t.Context(), r.Account.ID, "a look at the profile")
	returned := time.Now()
	if err != nil {
		t.Fatal(err)
	}
	before := len(r.publishCalls())
	if before == list || paused.Queued != list-before || !paused.Emitted || paused.Already || paused.Account.PauseReason != "a look at the profile" {
		t.Fatalf("%d calls were made before the pause returned, which says %+v", before, paused)
	}
	if first := paused.FirstMissed; first == nil || time.Until(*first) > 25*time.Hour || time.Until(*first) < 23*time.Hour {
		t.Errorf("the first is given up at %v", first)
	}
	r.becomes(list-before, events.StateWaiting)

	stop() // it survives a restart
	_, stop = r.Start()
	extra := r.Schedule(200*time.Millisecond, "scheduled while paused")
	held := r.Await(extra.ID, events.FactPostponed)
	if held.Reason == nil || held.Reason.Code != events.Paused || !strings.Contains(held.Reason.Message, "a look at the profile") {
		t.Errorf("it waits because of %+v", held.Reason)
	}
	if r.Emitted(extra.ID, events.FactPrepared) != 1 {
		t.Error("it was not prepared")
	}
	if calls := r.publishCalls(); len(calls) != before || slices.MaxFunc(calls, time.Time.Compare).After(returned) {
		t.Fatalf("%d calls were made, %d of them before the pause returned", len(calls), before)
	}
	// Looked at again while the account is still paused, a post stays as it is, and nothing is emitted twice.
	if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET wake_at = now() - interval '1 hour', armed_at = NULL WHERE id = ?", extra.ID); err != nil {
		t.Fatal(err)
	}
	for looked := false; !looked; clock.Sleep(t.Context(), 10*time.Millisecond) {
		looked = r.Row(extra.ID, events.StateWaiting).WakeAt.After(time.Now().Add(30 * time.Minute))
	}
	if n := r.Emitted(extra.ID, events.FactPostponed); n != 1 {
		t.Errorf("that it waits was told %d times", n)
	}
	stop()
	r.Start()

	resumed, err := r.pauser().Resume(t.Context(), r.Account.ID)
	if err != nil || resumed.Account.PausedAt != nil || resumed.Account.PauseReason != "" || resumed.Queued != list-before+1 {
		t.Fatalf("resumed as %+v: %v", resumed, err)
	}
	r.becomes(list+1, events.StatePublished)
	live := map[string]int{}
	for _, p := range r.Sim.Posts() {
		live[p.Text]++
	}
	if len(live) != list+1 || len(r.Sim.Posts()) != list+1 {
		t.Errorf("Threads has %d posts, %d of them different", len(r.Sim.Posts()), len(live))
	}
	for _, typ := range []string{events.AccountPaused{}.Type(), events.AccountResumed{}.Type()} {
		bustest.Await(t, r.Bus, func(ev events.AccountEvent) bool { return ev.Type() == typ && ev.Account().ID == r.Account.ID })
	}
}

// How late a post may be goes on counting.
func TestPausedForTooLong(t *testing.T) {
	t.Parallel()
	r := setup(t)
	if _, err := r.pauser().Pause(t.Context(), r.Account.ID, ""); err != nil {
		t.Fatal(err)
	}
	again, err := r.pauser().Pause(t.Context(), r.Account.ID, "another reason")
	if err != nil || !again.Already || again.Account.PauseReason != "" {
		t.Fatalf("paused again as %+v: %v", again, err)
	}
	r.Start()
	p, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: publishertest.User, Draft: events.Draft{Text: "too long", PublishWithin: 60},
		PublishAt: time.Now().Add(100 * time.Millisecond)}, 5*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	r.Await(p.ID, events.FactPostponed)
	row := r.Row(p.ID, events.StateWaiting)
	if over := row.WakeAt.Sub(row.PublishAt); over > 62*time.Second {
		t.Errorf("it is looked at %s after its time, and may be a minute late", over)
	}
	if _, err := r.DB.ExecContext(t.Context(), "UPDATE posts SET publish_at = now() - interval '2 minutes', wake_at = now() - interval '1 minute', armed_at = NULL"); err != nil {
		t.Fatal(err)
	}
	if failed := r.Await(p.ID, events.FactFailed); failed.Reason.Code != events.Missed || !strings.Contains(failed.Reason.Message, "paused") {
		t.Errorf("it failed because of %+v", failed.Reason)
	}
	if len(r.Sim.Posts()) != 0 {
		t.Error("it went out")
	}
	for id, words := range map[string]string{"acct_none": "there is no account"} {
		if _, err := r.pauser().Pause(t.Context(), id, ""); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := r.pauser().Pause(t.Context(), r.Account.ID, "two\nlines"); err == nil {
		t.Error("a reason of two lines passed")
	}
}
