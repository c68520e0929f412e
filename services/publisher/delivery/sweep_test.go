package delivery_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/delivery"
)

// acceptedBy is a post that an idle publisher has accepted and emitted; nobody has recorded that.
func (r *system) acceptedBy(s *publisher.Service, text string) events.Post {
	r.T.Helper()
	cmd := events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: text}, PublishAt: time.Now().Add(time.Hour)}
	d := bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Type: cmd.Type(), Time: time.Now()}}
	p, err := s.Delivery.SchedulePost(r.T.Context(), d, cmd)
	if err != nil {
		r.T.Fatal(err)
	}
	return p.(events.Post)
}

// A change that can never be emitted stops the sweep neither in its batch nor in the next ones.
func TestSweepGoesOn(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.SweepEvery = time.Hour // what is left out stays left out, however slow the machine
	s := r.Idle()
	for i := range 3 {
		one := r.acceptedBy(s, fmt.Sprint("too large to be told ", i))
		r.change("UPDATE posts SET rev = rev + 1, fact = 'edited', text = '" + strings.Repeat("x", 1<<20) + "', updated_at = now() - interval '1 hour' WHERE id = '" + one.ID + "'")
	}
	victim := r.acceptedBy(s, "untold")
	r.change("UPDATE posts SET rev = rev + 1, fact = 'edited', updated_at = now() - interval '1 minute' WHERE id = '" + victim.ID + "'")

	if err := s.Delivery.SweepOnce(t.Context()); err != nil {
		t.Errorf("the sweep fails as a whole: %v", err)
	}
	if n := r.Emitted(victim.ID, events.FactEdited); n != 1 {
		t.Errorf("the change behind those that cannot be told was told %d times, want once", n)
	}
	if row := r.Row(victim.ID, events.StateScheduled); row.EmittedRev != row.Rev {
		t.Errorf("it is told up to rev %d of %d in its row", row.EmittedRev, row.Rev)
	}
	if left := s.Delivery.NotEmitted(time.Now()); len(left) != 4 { // with the empty one
		t.Errorf("left out of the next batch are %d posts, want 3", len(left)-1)
	}
	if err := s.Delivery.SweepOnce(t.Context()); err != nil {
		t.Errorf("the next sweep, which leaves them out, fails: %v", err)
	}
}

// forgetIDs returns when JetStream no longer knows the ids of the events that are on EVENTS now.
func (r *system) forgetIDs() {
	r.T.Helper()
	js := r.Bus.JetStream()
	stream, err := js.Stream(r.T.Context(), events.StreamEvents)
	if err != nil {
		r.T.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.Duplicates = 100 * time.Millisecond // the least that there is
	if _, err := js.UpdateStream(r.T.Context(), cfg); err != nil {
		r.T.Fatal(err)
	}
	probe := &nats.Msg{Subject: events.AccountFacts("acct_probe", "probe"), Header: nats.Header{jetstream.MsgIDHeader: {events.NewCommandID()}}}
	for first := true; ; first = false {
		ack, err := js.PublishMsg(r.T.Context(), probe)
		if err != nil {
			r.T.Fatal(err)
		}
		if !first && !ack.Duplicate {
			return
		}
		clock.Sleep(r.T.Context(), 20*time.Millisecond)
	}
}

// While nobody records, an event is stored once all the same, however long that lasts and whoever comes to the post.
func TestEmittedOnceWithoutProjector(t *testing.T) {
	t.Parallel()
	r := setup(t)
	p := r.acceptedBy(r.Idle(), "told once")
	r.change("UPDATE posts SET updated_at = now() - interval '1 minute'")
	for range 2 {
		r.forgetIDs()
		if err := r.Idle().Delivery.SweepOnce(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := r.Emitted(p.ID, events.FactScheduled); n != 1 {
		t.Errorf("that it was scheduled is stored %d times", n)
	}
	if row := r.Row(p.ID, events.StateScheduled); row.EmittedRev != row.Rev {
		t.Errorf("its row says that rev %d of %d is told", row.EmittedRev, row.Rev)
	}

	// Nor do those who come to the post before the sweep does.
	r.change("UPDATE posts SET told_rev = 0")
	other := r.Idle()
	if err := other.Delivery.FlushOld(t.Context(), new(r.Row(p.ID, events.StateScheduled))); err != nil {
		t.Error(err)
	}
	r.forgetIDs()
	words := "other words"
	cmd := events.EditPost{PostID: p.ID, UserID: testUser, Text: &words}
	_, err := r.Idle().Delivery.EditPost(t.Context(), bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Type: cmd.Type(), Time: time.Now()}}, cmd)
	if err != nil {
		t.Fatal(err)
	}
	if n, edited := r.Emitted(p.ID, events.FactScheduled), r.Emitted(p.ID, events.FactEdited); n != 1 || edited != 1 {
		t.Errorf("that it was scheduled is stored %d times, that it was edited %d times", n, edited)
	}
}

// What the sweep marks as emitted ends the commands that wait for it, as the projector would have.
func TestSweepEndsCommands(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.Idle()
	p := r.acceptedBy(s, "gone, and nobody records")
	id := events.NewCommandID()
	r.change("INSERT INTO commands (id, user_id, type, post_id, created_at) VALUES ('" + id + "', '" + testUser + "', '" + events.DeletePost{}.Type() + "', '" + p.ID + "', now())")
	r.change("UPDATE posts SET rev = rev + 1, state = 'published', fact = 'deleted', deleted_at = now(), updated_at = now() - interval '1 minute', wake_at = NULL")
	if err := s.Delivery.SweepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	o, err := s.Questions.GetCommand(context.Background(), asks.GetCommand{UserID: testUser, ID: id})
	if err != nil || !o.Done || o.Fault != nil {
		t.Errorf("the command that waits for the deletion is %+v, %v", o, err)
	}
}

// change changes rows behind the publishers' backs.
func (r *system) change(query string, args ...any) {
	r.T.Helper()
	if _, err := r.DB.ExecContext(r.T.Context(), query, args...); err != nil {
		r.T.Fatal(err)
	}
}

// Erasures that fail keep no other from its turn, however many they are.
func TestErasuresThatFail(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.Idle()
	r.change(`INSERT INTO erased_accounts (account_id, user_id, buried_at, next_at)
		SELECT 'bad_' || i, 'u', now(), now() - interval '1 hour' FROM generate_series(1, 100) AS i`)
	r.change(`INSERT INTO erased_accounts (account_id, user_id, buried_at, next_at) VALUES ('good', 'u', now(), now())`)
	r.change(`INSERT INTO search_uses (account_id, quota, at) SELECT 'bad_' || i, 'keyword_searches', now() FROM generate_series(1, 100) AS i`)
	r.change(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$`)
	r.change(`CREATE TRIGGER refuse BEFORE DELETE ON search_uses FOR EACH ROW EXECUTE FUNCTION refuse()`)
	for range 2 {
		if err := s.Erasure.Once(t.Context()); err != nil && !strings.Contains(err.Error(), "not this one") {
			t.Fatal(err)
		}
	}
	var stage string
	if err := r.DB.QueryRowContext(t.Context(), "SELECT stage FROM erased_accounts WHERE account_id = 'good'").Scan(&stage); err != nil || stage != "streams" {
		t.Errorf("the one behind them is at stage %s, %v", stage, err)
	}
}

// A failure that was emitted, and is concluded again much later because Postgres was away, is stored once.
func TestFailureIsEmittedOnce(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.Idle()
	p := r.acceptedBy(s, "missed")
	r.change("UPDATE posts SET state = 'concluding', fact = 'failed', reason = '{\"code\":\"missed\",\"message\":\"late\"}', accepted_at = now() - interval '1 hour', updated_at = now() - interval '1 hour', wake_at = now()")
	row := r.Row(p.ID, events.StateConcluding)
	if err := s.Delivery.Emit(t.Context(), posts.OutcomeEvent(&row, events.FactFailed)); err != nil {
		t.Fatal(err)
	}
	r.forgetIDs()
	if end, err := s.Delivery.FinishOutcome(t.Context(), &row); err != nil || end != delivery.Final {
		t.Error(err)
	}
	if n := r.Emitted(p.ID, events.FactFailed); n != 1 {
		t.Errorf("the failure is stored %d times", n)
	}
	r.Row(p.ID, events.StateFailed)
}
