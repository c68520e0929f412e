package projector_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/publisher/projector"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

// A backup holds a ready post with its container. What goes out after the restore is what its owner said last.
func TestRestoredBeforeAnEdit(t *testing.T) {
	t.Parallel()
	r := publishertest.New(t)
	_, stop := r.Start()
	p := r.Schedule(time.Minute, "old words")
	r.Row(p.ID, events.StateReady)
	stop()
	since := time.Now()
	r.BackUp()
	_, stop = r.Start()
	words, at := "new words", time.Now().Add(8*time.Second)
	if _, fault := r.Do(events.EditPost{PostID: p.ID, UserID: publishertest.User, Text: &words, PublishAt: &at}, 5*time.Second); fault != nil {
		t.Fatal(fault)
	}
	r.Await(p.ID, events.FactEdited)
	r.Row(p.ID, events.StateReady)
	stop()
	r.Restore()
	r.Config.RestoredSince = since
	r.Start()
	live := r.Await(p.ID, events.FactPublished)
	old, _ := r.Arrivals("old words")
	if n, _ := r.Arrivals("new words"); n != 1 || old != 0 || live.Text != words {
		t.Errorf("Threads has the new words %d times and the old ones %d times; told was %q", n, old, live.Text)
	}
}

// A chain whose first part went out after the backup goes on with its second.
func TestRestoredBeforeAPart(t *testing.T) {
	t.Parallel()
	r := publishertest.New(t)
	a := r.Connect("user_2", "reader", publishertest.ChainScopes...)
	_, stop := r.Start()
	draft := events.Draft{AccountID: a.ID, Parts: []events.DraftPart{{Text: "one"}, {Text: "two"}, {Text: "three"}}}
	p, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: "user_2", Draft: draft, PublishAt: time.Now().Add(4 * time.Second)}, 5*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	r.Row(p.ID, events.StateReady)
	stop()
	since := time.Now()
	r.BackUp()
	_, stop = r.Start()
	r.Await(p.ID, events.FactPartPublished)
	stop()
	r.Restore()
	r.Config.RestoredSince = since
	r.Start()
	r.Await(p.ID, events.FactPublished)
	for _, text := range []string{"one", "two", "three"} {
		if n, _ := r.Arrivals(text); n != 1 {
			t.Errorf("%q is on Threads %d times%s", text, n, r.Rows())
		}
	}
}

// Postgres and EVENTS are restored from the same night, and nobody says so. What went out since does not go out again.
func TestBothStoresRestored(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "nats")
	node := bustest.NewNode(t, dir)
	r := publishertest.NewOn(t, func(name string) *bus.Bus { return bustest.Connect(t, node, name) })
	// Nothing but a look at the list tells that a container of the backup was published.
	if err := r.Sim.SetKnobs(func(k *threadssim.Knobs) { k.DoublePublish = "second_post" }); err != nil {
		t.Fatal(err)
	}
	_, stop := r.Start()
	var posts []events.Post
	for _, text := range []string{"one", "two", "three", "four"} {
		posts = append(posts, r.Schedule(5*time.Second, text))
	}
	later := r.Schedule(time.Hour, "in an hour")
	r.AwaitApplied()
	stop()
	r.BackUp()
	copied := filepath.Join(t.TempDir(), "night")
	node.Stop()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	node.Start()
	_, stop = r.Start()
	for _, p := range posts {
		r.Await(p.ID, events.FactPublished)
	}
	stop()
	node.Stop()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(copied)); err != nil {
		t.Fatal(err)
	}
	node.Start()
	r.Restore()
	r.Start()
	for _, p := range posts {
		live := r.Await(p.ID, events.FactPublished)
		if n, _ := r.Arrivals(p.Text); n != 1 {
			t.Errorf("%q is on Threads %d times", p.Text, n)
		}
		if live.PostedTweetID == nil {
			t.Errorf("%q has no id", p.Text)
		}
	}
	if row := r.Row(later.ID, events.StateScheduled); row.Doubt {
		t.Error("what was not due is doubted")
	}
}

// An outage costs an account one reading of its list, whatever number of posts was due, and each goes out once.
func TestAnOutageCostsOneList(t *testing.T) {
	t.Parallel()
	r := publishertest.New(t)
	_, stop := r.Start()
	var posts []events.Post
	for _, text := range []string{"one", "two", "three", "four", "five"} {
		posts = append(posts, r.Schedule(time.Hour, text))
	}
	r.AwaitApplied()
	stop()
	r.Exec("UPDATE posts SET publish_at = now(), wake_at = now()")
	r.Exec("UPDATE recorder_positions SET updated_at = now() - interval '1 minute' WHERE name = ?", projector.AliveRow)
	r.Start()
	for _, p := range posts {
		r.Once(r.Await(p.ID, events.FactPublished))
	}
	lists := 0
	for _, call := range r.Sim.Calls() {
		if call.Op == threads.OpPosts {
			lists++
		}
	}
	if lists != 1 {
		t.Errorf("the list of posts was read %d times", lists)
	}
}

// While another publisher lives, one that starts takes the rows as they are.
func TestStartBesideAnother(t *testing.T) {
	t.Parallel()
	r := publishertest.New(t)
	r.Start()
	p := r.Schedule(time.Hour, "due while another lives")
	r.AwaitApplied()
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	// Its time comes without a wake-up: only a look at the rows could take it for one that went out.
	r.Exec("UPDATE posts SET publish_at = now(), wake_at = now() + interval '1 minute' WHERE id = ?", p.ID)
	if err := s.Projector.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if row := r.Row(p.ID, events.StateScheduled); row.Doubt {
		t.Error("it is doubted")
	}
}

// A post that waits for its account to be connected again goes on waiting after an outage: its owner may still take it back.
func TestOutageLeavesWhoWaits(t *testing.T) {
	t.Parallel()
	r := publishertest.New(t)
	_, stop := r.Start()
	waits, due := r.Schedule(time.Hour, "waits"), r.Schedule(time.Hour, "due")
	r.AwaitApplied()
	stop()
	r.Exec("UPDATE posts SET publish_at = now(), wake_at = now()")
	r.Exec("UPDATE posts SET state = 'waiting', wake_at = now() + interval '1 hour' WHERE id = ?", waits.ID)
	r.Exec("UPDATE recorder_positions SET updated_at = now() - interval '1 minute' WHERE name = ?", projector.AliveRow)
	s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
	if err := s.Projector.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if row := r.Row(waits.ID, events.StateWaiting); row.Doubt {
		t.Error("who waits is doubted")
	}
	if row := r.Row(due.ID, events.StateUnconfirmed); !row.Presumed() {
		t.Errorf("who was due is not looked for: %s", row.OnAbsent)
	}
}

// A backup may hold a note of life that is young still. What an operator says of a restore counts all the same, once.
func TestRestoreIsSaidOnce(t *testing.T) {
	t.Parallel()
	r := publishertest.New(t)
	_, stop := r.Start()
	p := r.Schedule(time.Hour, "waits")
	r.AwaitApplied()
	stop()
	r.Exec("UPDATE posts SET publish_at = now(), state = 'waiting', wake_at = now() + interval '1 hour'")
	r.Exec("UPDATE recorder_positions SET updated_at = now() + interval '1 hour' WHERE name = ?", projector.AliveRow)
	r.Config.RestoredSince = time.Now().Add(-time.Minute)
	check := func() {
		t.Helper()
		s := publisher.New(r.Config, publisher.Deps{Bus: r.Bus, DB: r.DB, Threads: r.API, Vault: r.Vault, Log: r.Log})
		if err := s.Projector.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	check()
	r.Row(p.ID, events.StateUnconfirmed)
	r.Exec("UPDATE posts SET state = 'waiting', doubt = false, doubt_since = NULL, on_absent = NULL")
	r.Exec("UPDATE recorder_positions SET updated_at = now() + interval '1 hour' WHERE name = ?", projector.AliveRow)
	check()
	if row := r.Row(p.ID, events.StateWaiting); row.Doubt {
		t.Error("it is doubted again by the next start with the same setting")
	}
}
