package delivery_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
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
	batch := []*posts.Post{post(there.ID, "again", ""), post(events.NewPostID(), "second", "18060000000000017"), post(events.NewPostID(), "third", "")}
	var wrote error
	err := pg.InTx(t.Context(), r.DB, func(ctx context.Context, tx bun.Tx) error {
		wrote = s.Delivery.Store().InsertAll(ctx, tx, batch)
		return wrote
	})
	if err == nil || len(batch) != 3 || batch[1].Text != "second" || batch[1].ReplyTo != "18060000000000017" || batch[2].ReplyTo != "" {
		t.Errorf("%v, and the posts are %d: %+v", wrote, len(batch), batch)
	}
	if n := r.count("SELECT count(*) FROM posts"); n != 1 {
		t.Errorf("%d posts are there, want the one from before", n)
	}
}
