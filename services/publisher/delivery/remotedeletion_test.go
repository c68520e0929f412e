package delivery_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/posts"
)

// Threads tells by webhook that a post is deleted, before or after its row knows the media id.
func TestDeletedRemotely(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, stop := r.start()
	tell := func(mediaID string) {
		t.Helper()
		ev := events.DeletedOnThreads{Heard: events.Heard{
			UserID: testUser, AccountID: r.account.ID, MediaID: mediaID, At: time.Now().Add(-10 * time.Second).UTC().Truncate(time.Second),
		}}
		for range 2 { // Meta repeats itself
			if err := r.bus.Emit(t.Context(), ev); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish := func(d events.Draft) events.Post {
		t.Helper()
		p, fault := r.do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: d, PublishAt: time.Now()}, 20*time.Second)
		if fault != nil {
			t.Fatal(fault)
		}
		return p
	}

	after := publish(events.Draft{Text: "taken away by hand"})
	tell(*after.PostedTweetID)
	if p := r.await(after.ID, events.FactDeleted); p.Status != events.StatusDeleted || p.DeletedAt == nil {
		t.Errorf("%+v", p)
	}

	// The word comes before the row knows the id.
	early := r.schedule(time.Hour, "known too late")
	tell("17999999999999999")
	_, err := r.db.NewRaw("UPDATE posts SET state = 'published', fact = 'published', media_id = '17999999999999999', wake_at = NULL, told_rev = rev WHERE id = ?", early.ID).Exec(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p := r.await(early.ID, events.FactDeleted); p.Status != events.StatusDeleted {
		t.Errorf("%+v", p)
	}

	// A chain is gone with its last part.
	chain := publish(events.Draft{Parts: []events.DraftPart{{Text: "one"}, {Text: "two"}}})
	tell(chain.Parts[0].MediaID)
	for r.row(chain.ID, events.StatePublished).Parts[0].DeletedAt == nil {
		clock.Sleep(t.Context(), 10*time.Millisecond)
	}
	if row := r.row(chain.ID, events.StatePublished); !row.DeletedAt.IsZero() {
		t.Errorf("half a chain counts as gone: %+v", row)
	}
	tell(chain.Parts[1].MediaID)
	r.await(chain.ID, events.FactDeleted)

	// Deleting what is gone is done.
	if _, fault := r.do(events.DeletePost{ID: after.ID, UserID: testUser}, 10*time.Second); fault != nil {
		t.Errorf("deleting what is gone: %v", fault)
	}
	for _, id := range []string{after.ID, early.ID, chain.ID} {
		if n := r.told(id, events.FactDeleted); n != 1 {
			t.Errorf("%s was told as deleted %d times", id, n)
		}
	}

	// A replay of EVENTS into an empty table tells the same story.
	for p, err := posts.NewStore(r.db, 0, 0).Get(t.Context(), r.db, chain.ID); err == nil && p.ToldRev < p.Rev; p, err = posts.NewStore(r.db, 0, 0).Get(t.Context(), r.db, chain.ID) {
		clock.Sleep(t.Context(), 10*time.Millisecond)
	}
	stop()
	before := r.snapshots()
	delete(before, early.ID) // its row was made by hand
	if _, err := r.db.NewRaw("TRUNCATE posts, post_attempts, posts_gone, recorder_positions").Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.cfg.RestoredSince = time.Now().Add(-time.Hour)
	_, stop = r.start()
	r.row(chain.ID, events.StatePublished)
	stop()
	again := r.snapshots()
	delete(again, early.ID)
	if diff := cmp.Diff(before, again); diff != "" {
		t.Error(diff)
	}
}
