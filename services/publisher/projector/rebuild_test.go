package projector_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/services/publisher/projector"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

func TestRebuild(t *testing.T) {
	t.Parallel()
	r := publishertest.New(t)
	_, stop := r.Start()
	live := r.Await(r.Schedule(300*time.Millisecond, "live").ID, events.FactPublished)
	r.Row(live.ID, events.StatePublished)
	cancelled := r.Schedule(time.Hour, "taken back")
	if _, fault := r.Do(events.CancelPost{PostID: cancelled.ID, UserID: publishertest.User}, 5*time.Second); fault != nil {
		t.Fatal(fault)
	}
	waits := r.Schedule(time.Hour, "waits")
	soon := r.Schedule(15*time.Second, "soon")
	r.Await(soon.ID, events.FactPrepared) // the row is ready a moment earlier

	found, err := r.Rebuild(false)
	if err != nil {
		t.Fatal(err)
	}
	if found.Posts != 4 || found.Equal != 4 || found.Different != 0 || found.OnlyLive != 0 {
		t.Fatalf("untouched, the tables differ: %+v", found)
	}
	under := projector.Rebuilder{Bus: r.Bus, DB: r.DB, Cfg: r.Config.Projector(), Log: r.Log, Patience: time.Nanosecond}
	if _, err := under.Run(t.Context(), 10, true); err == nil {
		t.Fatal("rows were swapped under a running publisher")
	}
	stop()

	// What a hand in the database, or a lost write, may leave behind.
	for _, damage := range []string{
		"UPDATE posts SET text = 'forged', media_id = NULL WHERE id = '" + live.ID + "'",
		"UPDATE posts SET state = 'scheduled', fact = 'scheduled' WHERE id = '" + cancelled.ID + "'",
		"DELETE FROM posts WHERE id = '" + waits.ID + "'",
	} {
		if _, err := r.DB.ExecContext(t.Context(), damage); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string][]string{live.ID: {"text", "media_id"}, cancelled.ID: {"state"}, waits.ID: {"id"}}
	found, err = r.Rebuild(false)
	if err != nil {
		t.Fatal(err)
	}
	if found.Different != 3 || len(found.Differences) != 3 || found.Equal != 1 {
		t.Fatalf("it found %+v", found)
	}
	for _, d := range found.Differences {
		if !slices.Equal(d.Columns, want[d.ID]) {
			t.Errorf("of %s it says that %v differ, want %v", d.ID, d.Columns, want[d.ID])
		}
	}

	if found, err = r.Rebuild(true); err != nil || found.Swapped != 3 {
		t.Fatalf("swapped %+v, %v", found, err)
	}
	if again, err := r.Rebuild(false); err != nil || again.Different != 0 || again.Equal != 4 {
		t.Errorf("after the swap: %+v, %v", again, err)
	}
	if row := r.Row(live.ID, events.StatePublished); row.MediaID != *live.PostedTweetID || row.Text != "live" {
		t.Errorf("the live post is now %+v", row)
	}
	if row := r.Row(waits.ID, events.StateScheduled); row.WakeAt.IsZero() {
		t.Error("the lost post has no time to be looked at")
	}
	r.Start()
	r.Once(r.Await(soon.ID, events.FactPublished))
	if n, _ := r.Arrivals("live"); n != 1 {
		t.Errorf("the live post is on Threads %d times", n)
	}
	if n, err := r.DB.NewSelect().Table("posts_before_rebuild").Count(context.Background()); err != nil || n != 2 {
		t.Errorf("%d of the 2 rows that were replaced are kept, %v", n, err)
	}
}

// The sessions of a publisher that has just stopped may outlive it for a moment: a swap waits for their end.
func TestSwapWaitsForWhoHasJustStopped(t *testing.T) {
	t.Parallel()
	r := publishertest.New(t)
	last, err := r.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	var me int
	if err := last.QueryRowContext(t.Context(), "SELECT pg_backend_pid() FROM pg_advisory_lock(?)", projector.LockKey).Scan(&me); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		b := projector.Rebuilder{Bus: r.Bus, DB: r.DB, Cfg: r.Config.Projector(), Log: r.Log, Patience: time.Hour}
		_, err := b.Run(t.Context(), 10, true)
		done <- err
	}()
	waiting.Until(t, "the swap to have looked", func() (looked bool) {
		select {
		case err := <-done:
			t.Fatalf("it ended beside a session that had not: %v", err)
		default:
		}
		err := r.DB.NewRaw("SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND pid NOT IN (?, pg_backend_pid())"+
			" AND query LIKE '%advisory%'", me).Scan(t.Context(), &looked)
		if err != nil {
			t.Fatal(err)
		}
		return looked
	})
	if _, err := last.ExecContext(t.Context(), "SELECT pg_advisory_unlock(?)", projector.LockKey); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
