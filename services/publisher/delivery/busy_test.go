package delivery_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/delivery"
)

// hold locks a row, as a person does who forgot a transaction, until release is called.
func (r *system) hold(table, id string) (release func()) {
	r.T.Helper()
	tx, err := r.DB.BeginTx(r.T.Context(), nil)
	if err != nil {
		r.T.Fatal(err)
	}
	r.T.Cleanup(func() { _ = tx.Rollback() })
	for _, q := range []string{
		"SET LOCAL idle_in_transaction_session_timeout = 0", // it is held for as long as the test takes
		"SELECT FROM ?0 WHERE id = ?1 FOR UPDATE",
	} {
		if _, err := tx.ExecContext(r.T.Context(), q, bun.Ident(table), id); err != nil {
			r.T.Fatal(err)
		}
	}
	return func() { _ = tx.Rollback() }
}

// readyPost is a post of an account that is due, with its container built.
func (r *system) readyPost(s *publisher.Service, user, account, text string) *posts.Post {
	r.T.Helper()
	now := time.Now()
	p := s.Delivery.NewPost(events.NewPostID(), user, account, events.Draft{Text: text}, now)
	p.State, p.ContainerID, p.ContainerAt, p.WakeAt = events.StateReady, "17890000000000001", now, now
	p.Canonicalize()
	if _, err := r.DB.NewInsert().Model(p).Exec(r.T.Context()); err != nil {
		r.T.Fatal(err)
	}
	return p
}

func claimOf(old *posts.Post) posts.Claim {
	now := time.Now()
	return posts.Claim{Old: old, Next: old.Claim(uuid.NewString(), now, now.Add(time.Minute)), CallLasts: time.Minute}
}

// Somebody holds the row of one account, or of one post: in no batch do the others wait for that, or fail with it.
func TestBusyMember(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.Idle()
	other := r.Connect("user_2", "other.user")

	t.Run("an account: its claim comes back, and the others' are made", func(t *testing.T) {
		held, free := r.readyPost(s, testUser, r.Account.ID, "held"), r.readyPost(s, "user_2", other.ID, "free")
		release := r.hold("social_connections", r.Account.ID)
		defer release()
		errs := s.Delivery.Store().Claim(t.Context(), []posts.Claim{claimOf(held), claimOf(free)}, time.Second, time.Now())
		if !errors.Is(errs[0], posts.ErrAccountBusy) || errs[1] != nil {
			t.Errorf("%v", errs)
		}
	})

	t.Run("an account: its acceptance goes alone, and comes back, and the others' are written", func(t *testing.T) {
		release := r.hold("social_connections", r.Account.ID)
		defer release()
		ask := func(user, account string) (bus.Delivery, events.SchedulePost) {
			cmd := events.SchedulePost{PostID: events.NewPostID(), UserID: user, Draft: events.Draft{AccountID: account, Text: "asked for"}, PublishAt: time.Now().Add(time.Hour)}
			return bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Time: time.Now()}}, cmd
		}
		var list []posts.Acceptance
		for user, account := range map[string]string{testUser: r.Account.ID, "user_2": other.ID} {
			d, cmd := ask(user, account)
			p := s.Delivery.NewPost(cmd.PostID, user, account, cmd.Draft, cmd.PublishAt)
			list = append(list, posts.Acceptance{Command: commands.New(d.Meta, cmd, cmd.PostID), Post: p})
		}
		for i, err := range s.Delivery.Store().Accept(t.Context(), list) {
			if held := list[i].Post.AccountID == r.Account.ID; held != errors.Is(err, batch.ErrAlone) || !held && err != nil {
				t.Errorf("of %s: %v", list[i].Post.UserID, err)
			}
		}
		d, cmd := ask(testUser, r.Account.ID)
		if _, err := s.Delivery.SchedulePost(t.Context(), d, cmd); err == nil || err.Error() != bus.Later(delivery.BusyAgain).Error() {
			t.Errorf("the account is held, and its post is accepted with %v", err)
		}
		release()
		if _, err := s.Delivery.SchedulePost(t.Context(), d, cmd); err != nil {
			t.Error(err)
		}
	})

	t.Run("an account: its deletion comes back", func(t *testing.T) {
		release := r.hold("social_connections", r.Account.ID)
		defer release()
		p := r.readyPost(s, testUser, r.Account.ID, "to be deleted")
		if may, err := s.Delivery.MayDelete(t.Context(), p, 1); may || err != nil {
			t.Errorf("%t, %v", may, err)
		}
		if row := r.Any(p.ID); row.Lease != "" || !row.WakeAt.After(p.WakeAt) || row.Reason != nil {
			t.Errorf("its row is %+v", row)
		}
	})

	t.Run("a post: its claim is lost, its answer goes alone, and the others' are written", func(t *testing.T) {
		held, free := r.readyPost(s, "user_2", other.ID, "a held post"), r.readyPost(s, "user_2", other.ID, "a free post")
		release := r.hold("posts", held.ID)
		errs := s.Delivery.Store().Claim(t.Context(), []posts.Claim{claimOf(held), claimOf(free)}, time.Second, time.Now())
		if !errors.Is(errs[0], posts.ErrLost) || errs[1] != nil {
			t.Errorf("claims: %v", errs)
		}
		release()
		if errs := s.Delivery.Store().Claim(t.Context(), []posts.Claim{claimOf(held)}, time.Second, time.Now()); errs[0] != nil {
			t.Fatal(errs)
		}
		release = r.hold("posts", held.ID)
		var notes []posts.Outcome
		var outcomes []events.PostEvent
		for i, id := range []string{held.ID, free.ID} {
			old := r.Any(id)
			p := old
			p.State, p.Fact, p.MediaID, p.AcceptedAt, p.UpdatedAt = events.StateConcluding, events.FactPublished, fmt.Sprint("1806000000000000", i), time.Now(), time.Now()
			notes = append(notes, posts.Outcome{Old: &old, Next: &p})
			emitted := p
			emitted.State, emitted.Rev = events.StatePublished, p.Rev+1
			outcomes = append(outcomes, events.NewPostEvent(events.FactPublished, emitted.Snapshot()))
		}
		if errs := s.Delivery.Store().SaveOutcomes(t.Context(), notes); !errors.Is(errs[0], batch.ErrAlone) || errs[1] != nil {
			t.Errorf("answers: %v", errs)
		}
		release()
		if errs := s.Delivery.Store().SaveOutcomes(t.Context(), notes[:1]); errs[0] != nil {
			t.Fatal(errs)
		}
		release = r.hold("posts", held.ID)
		if errs := s.Projector.ApplyTogether(t.Context(), outcomes); !errors.Is(errs[0], batch.ErrAlone) || errs[1] != nil {
			t.Errorf("outcomes: %v", errs)
		}
		release()
		if err := s.Projector.ApplyNow(t.Context(), outcomes[0]); err != nil {
			t.Error(err)
		}
		for _, id := range []string{held.ID, free.ID} {
			if p := r.Any(id); p.State != events.StatePublished || p.EmittedRev != p.Rev {
				t.Errorf("%s is %s, told %d of %d", p.Text, p.State, p.EmittedRev, p.Rev)
			}
		}
	})
}

// While one account's row is held, the posts of others are accepted and published; its own go out when it is free.
func TestBusyAccount(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Connect("user_2", "other.user")
	r.Start()
	own := r.Schedule(time.Minute, "of the held account")
	r.Row(own.ID, events.StateReady)
	release := r.hold("social_connections", r.Account.ID)
	r.Exec("UPDATE posts SET publish_at = now(), wake_at = now() WHERE id = ?", own.ID)
	for i := range 20 {
		cmd := events.PublishPost{PostID: events.NewPostID(), UserID: "user_2", Draft: events.Draft{Text: fmt.Sprint("of another ", i)}, PublishAt: time.Now()}
		p, fault := r.Do(cmd, 10*time.Second)
		if fault != nil || p.Status != events.StatusPosted {
			t.Fatalf("answered %+v, %v", p, fault)
		}
	}
	if n, _ := r.Arrivals(own.Text); n != 0 {
		t.Error("a post went out that was not claimed")
	}
	release()
	r.Once(r.Await(own.ID, events.FactPublished))
}

// Commands that wait for a row that somebody holds keep to their places, however many are in hand, and new posts do not wait for those.
func TestHeldRowHoldsNoNewPostUp(t *testing.T) {
	t.Parallel()
	r := setup(t)
	quiet := r.Connect("user_2", "quiet")
	s, _ := r.Start()
	held := r.Schedule(time.Hour, "held")
	release := r.hold("posts", held.ID)
	defer release()
	for range 50 {
		if err := r.Bus.Send(t.Context(), events.CancelPost{PostID: held.ID, UserID: testUser}, bus.CommandOptions{ID: events.NewCommandID()}); err != nil {
			t.Fatal(err)
		}
	}
	const waiters = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	waiting.Until(t, "commands wait for the row", func() bool { return r.count(waiters) > 0 })
	for s.Delivery.Singles.TryAcquire(1) { //nolint:revive // whatever places are left
	}
	p, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: "user_2", Draft: events.Draft{AccountID: quiet.ID, Text: "free"}, PublishAt: time.Now()}, time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	r.Once(r.Await(p.ID, events.FactPublished))
	if n, places := r.count(waiters), pg.Slots(r.DB, 64); n > places {
		t.Errorf("%d commands wait for the row, in %d places", n, places)
	}
}
