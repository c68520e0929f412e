package delivery_test

import (
	"errors"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/batch"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/commands"
	"github.com/omni-write/threads/internal/posts"
)

// A key whose command is forgotten does not pass its post for another one.
func TestForgottenKey(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.Idle()
	p := r.acceptedBy(s, "the first")
	r.change("DELETE FROM commands")
	r.change("UPDATE posts SET created_at = now() - interval '31 days'")
	cmd := events.SchedulePost{PostID: p.ID, UserID: testUser, Draft: events.Draft{Text: "the second"}, PublishAt: time.Now().Add(time.Hour)}
	d := bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Type: cmd.Type(), Time: time.Now()}}
	if got, err := s.Delivery.SchedulePost(t.Context(), d, cmd); !errors.Is(err, &events.Fault{Code: events.KeyReused}) {
		t.Errorf("another post under its key is answered %+v, %v", got, err)
	}
}

// A command whose record is lost, as with a backup, finds its post as it is: rebuilt from EVENTS, and perhaps edited since.
func TestAcceptedBefore(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.Idle()
	p := r.acceptedBy(s, "as it was asked for")
	r.change("DELETE FROM commands")
	r.change("UPDATE posts SET text = 'as it was edited', rev = 2, told_rev = 2, fact = 'edited'")
	cmd := events.SchedulePost{PostID: p.ID, UserID: testUser, Draft: events.Draft{Text: p.Text}, PublishAt: p.ScheduledAt}
	d := bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Type: cmd.Type(), Time: time.Now()}}
	got, err := s.Delivery.SchedulePost(t.Context(), d, cmd)
	if err != nil {
		t.Fatal(err)
	}
	if again := got.(events.Post); again.Text != "as it was edited" || again.Rev != 2 {
		t.Errorf("it is answered %q at rev %d, which is in no row", again.Text, again.Rev)
	}
	if n := r.Emitted(p.ID, events.FactEdited); n != 0 {
		t.Error("what its row says was told is told again")
	}
}

// A post that is accepted when it should have been prepared already is to be looked at now; the sweep has forgotten nobody.
func TestAcceptedWithinItsLead(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Config.LeadText = time.Hour
	s := r.Idle()
	cmd := events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "in half a minute"}, PublishAt: time.Now().Add(30 * time.Second)}
	d := bus.Delivery{Meta: events.Meta{ID: events.NewCommandID(), Type: cmd.Type(), Time: time.Now()}}
	if _, err := s.Delivery.SchedulePost(t.Context(), d, cmd); err != nil {
		t.Fatal(err)
	}
	p := r.Any(cmd.PostID)
	if p.WakeAt.Before(p.CreatedAt) || p.WakeAt.After(time.Now()) {
		t.Errorf("it is to be looked at %s after it was accepted", p.WakeAt.Sub(p.CreatedAt))
	}
}

// Of posts that are written together one may be there already; then each is written by itself, and none with another's words.
func TestAcceptedTogetherWithOneThatIsThere(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.Idle()
	there := r.acceptedBy(s, "there")
	post := func(id, text, replyTo string) *posts.Post {
		p := s.Delivery.NewPost(id, testUser, r.Account.ID, events.Draft{Text: text, ReplyTo: replyTo}, time.Now().Add(time.Hour))
		p.Canonicalize()
		return p
	}
	record := func(id string) commands.Command {
		cmd := events.SchedulePost{PostID: id, UserID: testUser}
		return commands.New(events.Meta{ID: events.NewCommandID(), Time: time.Now()}, cmd, id)
	}
	accept := func(list ...*posts.Post) []error {
		var items []posts.Acceptance
		for _, p := range list {
			items = append(items, posts.Acceptance{Command: record(p.ID), Post: p})
		}
		return s.Delivery.Store().Accept(t.Context(), items)
	}
	again, second, third := post(there.ID, "again", ""), post(events.NewPostID(), "second", "18060000000000017"), post(events.NewPostID(), "third", "")
	for i, err := range accept(again, second, third) {
		if err == nil || errors.Is(err, batch.ErrAlone) {
			t.Errorf("post %d, with one that is there: %v; want an error of all, so that they are tried in parts", i, err)
		}
	}
	if err := accept(again)[0]; !errors.Is(err, batch.ErrAlone) {
		t.Errorf("the one that is there: %v", err)
	}
	if posts, noted := r.count("SELECT count(*) FROM posts"), r.count("SELECT count(*) FROM commands"); posts != 1 || noted != 1 {
		t.Errorf("%d posts and %d commands are there, want those from before", posts, noted)
	}
	for i, err := range accept(second, third, second) {
		if twice := i == 2; twice != errors.Is(err, batch.ErrAlone) || !twice && err != nil {
			t.Errorf("post %d: %v", i, err)
		}
	}
	if a, b := r.Any(second.ID), r.Any(third.ID); a.Text != "second" || a.ReplyTo != "18060000000000017" || b.Text != "third" || b.ReplyTo != "" {
		t.Errorf("the rows are %+v and %+v", a, b)
	}
}
