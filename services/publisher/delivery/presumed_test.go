package delivery_test

import (
	"context"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/delivery"
	"github.com/omni-write/threads/services/publisher/projector"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

// A post in doubt whose container is not known to be of its words, as one that the release before this left, is looked for.
func TestDoubtWithAContainerOfUnknownWords(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	p := r.inDoubt(s, testUser, r.Account.ID, "refused, and to be called again")
	r.Exec("UPDATE posts SET state = 'ready', container_id = '17990000000000013', container_at = now(), wake_at = now() WHERE id = ?", p.ID)
	row := r.Row(p.ID, events.StateReady)
	if end, err := s.Delivery.Publish(t.Context(), &row); err != nil || end != delivery.Moved {
		t.Error(err)
	}
	if row = r.Row(p.ID, events.StateUnconfirmed); !row.Doubt {
		t.Error("its doubt is gone")
	}
}

// After a restore a reply is looked for below its post, so not before it is known what became of that.
func TestRestoredReplyWaitsForItsPost(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Account = r.Connect(testUser, "demo.user", publishertest.ChainScopes...)
	_, stop := r.Start()
	post := r.Schedule(4*time.Second, "the post")
	reply, fault := r.Do(events.SchedulePost{
		PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "the reply", ReplyTo: post.ID}, PublishAt: time.Now().Add(4 * time.Second),
	}, 5*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	r.AwaitApplied()
	r.BackUp()
	live := r.Await(post.ID, events.FactPublished)
	r.Await(reply.ID, events.FactPublished)
	r.AwaitApplied()
	stop()
	r.Exec("TRUNCATE posts; INSERT INTO posts SELECT * FROM backup_posts")
	r.Exec("UPDATE recorder_positions SET updated_at = now() - interval '1 minute' WHERE name = ?", projector.AliveRow)

	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	if err := s.Projector.PresumeCalls(t.Context()); err != nil {
		t.Fatal(err)
	}
	row := r.Row(reply.ID, events.StateUnconfirmed)
	if end, err := s.Delivery.Confirm(t.Context(), &row); err != nil || end != delivery.Moved {
		t.Fatal(err)
	}
	if row = r.Row(reply.ID, events.StateUnconfirmed); !row.Doubt {
		t.Error("a reply that is live is taken for one that is not")
	}
	for _, id := range []string{post.ID, reply.ID} {
		row := r.Row(id, events.StateUnconfirmed)
		if _, err := s.Delivery.Confirm(t.Context(), &row); err != nil {
			t.Fatal(err)
		}
		r.Row(id, events.StatePublished)
	}
	if row = r.Row(post.ID, events.StatePublished); row.MediaID != *live.PostedTweetID {
		t.Errorf("the post has the id %s", row.MediaID)
	}
	if n, _ := r.Arrivals("the reply"); n != 1 {
		t.Errorf("the reply is on Threads %d times", n)
	}
}

// A reply that went out below a post that was deleted since is found all the same.
func TestRestoredReplyToADeletedPost(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Account = r.Connect(testUser, "demo.user", publishertest.ChainScopes...)
	_, stop := r.Start()
	post := r.Await(r.Schedule(0, "the post").ID, events.FactPublished)
	reply, fault := r.Do(events.SchedulePost{
		PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "the reply", ReplyTo: post.ID}, PublishAt: time.Now(),
	}, 5*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	r.Await(reply.ID, events.FactPublished)
	r.AwaitApplied()
	stop()
	r.Exec("UPDATE posts SET deleted_at = now() WHERE id = ?", post.ID)
	r.Exec("UPDATE posts SET state = 'scheduled', media_id = NULL, parent_id = NULL, container_id = NULL, wake_at = now() WHERE id = ?", reply.ID)
	r.Exec("UPDATE recorder_positions SET updated_at = now() - interval '1 minute' WHERE name = ?", projector.AliveRow)
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	if err := s.Projector.PresumeCalls(t.Context()); err != nil {
		t.Fatal(err)
	}
	row := r.Row(reply.ID, events.StateUnconfirmed)
	if _, err := s.Delivery.Confirm(t.Context(), &row); err != nil {
		t.Fatal(err)
	}
	r.Row(reply.ID, events.StatePublished)
}

// A post that is presumed to be live, and can never be asked for, is left to a person in the end.
func TestPresumedWithoutAccess(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	p := r.inDoubt(s, testUser, r.Account.ID, "due while nobody lived")
	r.Exec("UPDATE posts SET on_absent = 'resume', attempt = 0, claimed_at = NULL, call_deadline = NULL, publish_at = now() - interval '30 days'")
	r.Exec("UPDATE social_connections SET status = 'disconnected', access_token = NULL")
	for range 8 {
		row, err := s.Delivery.Store().Get(t.Context(), r.DB, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		if row.State == events.StateParked {
			break
		}
		if end, err := s.Delivery.Confirm(t.Context(), row); err != nil || end != delivery.Moved {
			t.Fatal(err)
		}
	}
	if row, err := s.Delivery.Store().Get(t.Context(), r.DB, p.ID); err != nil || row.State != events.StateParked || !row.Doubt {
		t.Errorf("it is %+v, %v", row, err)
	}
}

// A post in doubt that is written anew from EVENTS is not proven absent by the first list: its call may just have ended.
func TestSwappedDoubtHasADeadline(t *testing.T) {
	t.Parallel()
	r := setup(t)
	_, stop := r.Start()
	r.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropResponse})
	r.Inject(threadssim.Fault{Op: "posts", Kind: threadssim.Edge5xx, Times: 1000}) // nothing settles it meanwhile
	p := r.Schedule(2*time.Second, "lost on its way")
	r.Await(p.ID, events.FactUnconfirmed)
	r.AwaitApplied()
	stop()
	r.Exec("DELETE FROM posts WHERE id = ?", p.ID)
	r.Exec("DELETE FROM post_attempts")
	if _, err := r.Rebuild(true); err != nil {
		t.Fatal(err)
	}
	row, err := posts.NewStore(r.DB, 0, 0).Get(t.Context(), r.DB, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if row.State != events.StateUnconfirmed || !row.Doubt || row.CallDeadline.IsZero() {
		t.Errorf("it is %s, its doubt is %t, its call ended %s", row.State, row.Doubt, row.CallDeadline)
	}
}

// What a backup only presumes may have gone out since: after a restore it is asked for as what is known to have been called.
func TestRestoredPresumption(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	p := r.inDoubt(s, testUser, r.Account.ID, "presumed at the time of the backup")
	r.Exec("UPDATE posts SET on_absent = 'resume', attempt = 0, claimed_at = NULL, call_deadline = NULL")
	err := pg.InTx(t.Context(), r.DB, func(ctx context.Context, tx bun.Tx) error {
		_, err := posts.MarkAllUnconfirmed(ctx, tx, time.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if row := r.Row(p.ID, events.StateUnconfirmed); row.Presumed() || row.CallDeadline.IsZero() {
		t.Errorf("it is presumed: %t, and its call ended %s", row.Presumed(), row.CallDeadline)
	}
}

// A part that was never called is not in doubt, whatever the release before this one has left of the part before it.
func TestNextPartIsNotInDoubt(t *testing.T) {
	t.Parallel()
	r := setup(t) // without the scope that a look for a reply needs
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	for _, state := range []events.State{events.StateScheduled, events.StateReady, events.StateWaiting} {
		p := r.inDoubt(s, testUser, r.Account.ID, "part two "+string(state))
		r.Exec(`UPDATE posts SET state = ?, attempt = 0, claimed_at = NULL, call_deadline = NULL, wake_at = now(),
			parts = jsonb_build_array(jsonb_build_object('text', 'one', 'media', '[]'::jsonb, 'mediaId', id), jsonb_build_object('text', text, 'media', '[]'::jsonb)) WHERE id = ?`, state, p.ID)
		row := r.Row(p.ID, state)
		if end, err := s.Delivery.Work(t.Context(), &row); err != nil || end != delivery.Moved {
			t.Error(err)
		}
		if row, err := s.Delivery.Store().Get(t.Context(), r.DB, p.ID); err != nil || row.State != state || row.Doubt {
			t.Errorf("%s became %s, in doubt: %t, %v", state, row.State, row.Doubt, err)
		}
	}
}

// A post that was recalled with its account's connection stays so when its row is written anew.
func TestSwappedRecall(t *testing.T) {
	t.Parallel()
	r := setup(t)
	_, stop := r.Start()
	p := r.Schedule(time.Hour, "recalled")
	r.AwaitApplied()
	stop()
	r.Exec("UPDATE posts SET recalled = true, text = 'forged' WHERE id = ?", p.ID)
	if found, err := r.Rebuild(true); err != nil || found.Swapped != 1 {
		t.Fatal(found, err)
	}
	if row := r.Row(p.ID, events.StateScheduled); !row.Recalled || row.Text != "recalled" {
		t.Errorf("recalled: %t, and it says %q", row.Recalled, row.Text)
	}
}
