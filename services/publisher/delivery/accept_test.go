package delivery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/services/publisher/publishertest"
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
	if got, err := s.Delivery.ScheduleAll(t.Context(), d, cmd); !errors.Is(err, &events.Fault{Code: events.KeyReused}) {
		t.Errorf("another post under its key is answered %+v, %v", got, err)
	}
}

// More posts come directly than there are connections: each is accepted once, none takes a place on COMMANDS, and a command that is stored
// all the same is answered alike.
func TestAcceptedDirectly(t *testing.T) {
	t.Parallel()
	r := setup(t)
	publisher, _ := r.Start()
	waiting.Until(t, "the publisher to be ready", func() bool { return publisher.Ready(t.Context()) == nil })
	const many = 100
	var g errgroup.Group
	ids, accepted := make([]string, many), make([]events.Post, many)
	cmds := make([]events.SchedulePost, many)
	for i := range many {
		ids[i] = events.NewCommandID()
		cmds[i] = events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: fmt.Sprint("post ", i)}, PublishAt: time.Now().Add(time.Hour)}
		g.Go(func() error {
			o, err := r.Bus.Do(t.Context(), cmds[i], bus.CommandOptions{ID: ids[i], Direct: true}, waiting.Limit)
			if err == nil && (!o.Done || o.Fault != nil) {
				err = fmt.Errorf("the outcome is %+v", o)
			}
			if err == nil {
				err = json.Unmarshal(o.Result, &accepted[i])
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, p := range accepted {
		if p.ID != cmds[i].PostID || p.Text != cmds[i].Draft.Text {
			t.Fatalf("post %d is %+v", i, p)
		}
		r.Await(p.ID, events.FactScheduled) // comes after the answer
		if n := r.Emitted(p.ID, events.FactScheduled); n != 1 {
			t.Fatalf("post %d is emitted %d times", i, n)
		}
	}
	s, err := r.Bus.JetStream().Stream(t.Context(), events.StreamCommands)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.LastSeq; n >= many/2 { // one that found no place in time is stored, and done from there
		t.Errorf("of %d commands %d were stored", many, n)
	}
	o := r.Redeliver(ids[0], cmds[0])
	if again := publishertest.DecodePost(t, o); o.Fault != nil || again.ID != accepted[0].ID {
		t.Errorf("the stored command is answered %+v", o)
	}
	if n := r.count("SELECT count(*) FROM posts"); n != many {
		t.Errorf("%d posts are there, want %d", n, many)
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
	got, err := s.Delivery.ScheduleAll(t.Context(), d, cmd)
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
