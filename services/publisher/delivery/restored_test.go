package delivery_test

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
)

// backedUp are the tables that a backup of Postgres has of the publisher.
var backedUp = []string{"posts", "recorder_positions", "commands", "quota_uses", "post_attempts"}

func (r *rig) sql(statement string, args ...any) {
	r.t.Helper()
	if _, err := r.db.ExecContext(r.t.Context(), statement, args...); err != nil {
		r.t.Fatal(statement, err)
	}
}

func (r *rig) backUp() {
	for _, table := range backedUp {
		r.sql("CREATE TABLE backup_" + table + " AS TABLE " + table)
	}
}

func (r *rig) restore() {
	for _, table := range backedUp {
		r.sql("TRUNCATE " + table + "; INSERT INTO " + table + " SELECT * FROM backup_" + table)
	}
}

// A backup holds a ready post with its container. What goes out after the restore is what its owner said last.
func TestRestoredBeforeAnEdit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, stop := r.start()
	p := r.schedule(time.Minute, "old words")
	r.row(p.ID, events.StateReady)
	stop()
	since := time.Now()
	r.backUp()
	_, stop = r.start()
	words, at := "new words", time.Now().Add(8*time.Second)
	if _, fault := r.do(events.EditPost{PostID: p.ID, UserID: testUser, Text: &words, PublishAt: &at}, 5*time.Second); fault != nil {
		t.Fatal(fault)
	}
	r.await(p.ID, events.FactEdited)
	r.row(p.ID, events.StateReady)
	stop()
	r.restore()
	r.cfg.RestoredSince = since
	r.start()
	live := r.await(p.ID, events.FactPublished)
	old, _ := r.arrivals("old words")
	if n, _ := r.arrivals("new words"); n != 1 || old != 0 || live.Text != words {
		t.Errorf("Threads has the new words %d times and the old ones %d times; told was %q", n, old, live.Text)
	}
}

// A chain whose first part went out after the backup goes on with its second.
func TestRestoredBeforeAPart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.connect("user_2", "reader", chainScopes...)
	_, stop := r.start()
	draft := events.Draft{AccountID: a.ID, Parts: []events.DraftPart{{Text: "one"}, {Text: "two"}, {Text: "three"}}}
	p, fault := r.do(events.SchedulePost{PostID: events.NewPostID(), UserID: "user_2", Draft: draft, PublishAt: time.Now().Add(4 * time.Second)}, 5*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	r.row(p.ID, events.StateReady)
	stop()
	since := time.Now()
	r.backUp()
	_, stop = r.start()
	r.await(p.ID, events.FactPartPublished)
	stop()
	r.restore()
	r.cfg.RestoredSince = since
	r.start()
	r.await(p.ID, events.FactPublished)
	for _, text := range []string{"one", "two", "three"} {
		if n, _ := r.arrivals(text); n != 1 {
			t.Errorf("%q is on Threads %d times%s", text, n, r.rows())
		}
	}
}

// Postgres and EVENTS are restored from the same night, and nobody says so. What went out since does not go out again.
func TestBothStoresRestored(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "nats")
	node := bustest.NewNode(t, dir)
	r := newRigOn(t, func(name string) *bus.Bus { return bustest.Connect(t, node, name) })
	// Nothing but a look at the list tells that a container of the backup was published.
	if err := r.sim.SetKnobs(func(k *threadssim.Knobs) { k.DoublePublish = "second_post" }); err != nil {
		t.Fatal(err)
	}
	_, stop := r.start()
	var posts []events.Post
	for _, text := range []string{"one", "two", "three", "four"} {
		posts = append(posts, r.schedule(5*time.Second, text))
	}
	later := r.schedule(time.Hour, "in an hour")
	r.recorded()
	stop()
	r.backUp()
	copied := filepath.Join(t.TempDir(), "night")
	node.Stop()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	node.Start()
	_, stop = r.start()
	for _, p := range posts {
		r.await(p.ID, events.FactPublished)
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
	r.restore()
	r.start()
	for _, p := range posts {
		live := r.await(p.ID, events.FactPublished)
		if n, _ := r.arrivals(p.Text); n != 1 {
			t.Errorf("%q is on Threads %d times", p.Text, n)
		}
		if live.PostedTweetID == nil {
			t.Errorf("%q has no id", p.Text)
		}
	}
	if row := r.row(later.ID, events.StateScheduled); row.Doubt {
		t.Error("what was not due is doubted")
	}
}

// An outage costs an account one reading of its list, whatever number of posts was due, and each goes out once.
func TestAnOutageCostsOneList(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, stop := r.start()
	var posts []events.Post
	for _, text := range []string{"one", "two", "three", "four", "five"} {
		posts = append(posts, r.schedule(time.Hour, text))
	}
	r.recorded()
	stop()
	r.sql("UPDATE posts SET publish_at = now(), wake_at = now()")
	r.sql("UPDATE recorder_positions SET updated_at = now() - interval '1 minute' WHERE name = ?", projector.AliveRow)
	r.start()
	for _, p := range posts {
		r.once(r.await(p.ID, events.FactPublished))
	}
	lists := 0
	for _, call := range r.sim.Calls() {
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
	r := newRig(t)
	r.start()
	p := r.schedule(time.Hour, "due while another lives")
	r.recorded()
	s := publisher.New(r.cfg, publisher.Deps{Bus: r.bus, DB: r.db, Threads: r.api, Vault: r.vault, Log: r.log})
	// Its time comes without a wake-up: only a look at the rows could take it for one that went out.
	r.sql("UPDATE posts SET publish_at = now(), wake_at = now() + interval '1 minute' WHERE id = ?", p.ID)
	if err := s.Projector.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if row := r.row(p.ID, events.StateScheduled); row.Doubt {
		t.Error("it is doubted")
	}
}

// A post that waits for its account to be connected again goes on waiting after an outage: its owner may still take it back.
func TestOutageLeavesWhoWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, stop := r.start()
	waits, due := r.schedule(time.Hour, "waits"), r.schedule(time.Hour, "due")
	r.recorded()
	stop()
	r.sql("UPDATE posts SET publish_at = now(), wake_at = now()")
	r.sql("UPDATE posts SET state = 'waiting', wake_at = now() + interval '1 hour' WHERE id = ?", waits.ID)
	r.sql("UPDATE recorder_positions SET updated_at = now() - interval '1 minute' WHERE name = ?", projector.AliveRow)
	s := publisher.New(r.cfg, publisher.Deps{Bus: r.bus, DB: r.db, Threads: r.api, Vault: r.vault, Log: r.log})
	if err := s.Projector.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if row := r.row(waits.ID, events.StateWaiting); row.Doubt {
		t.Error("who waits is doubted")
	}
	if row := r.row(due.ID, events.StateUnconfirmed); !row.Presumed() {
		t.Errorf("who was due is not looked for: %s", row.OnAbsent)
	}
}
