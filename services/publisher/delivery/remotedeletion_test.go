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
	r := setup(t)
	_, stop := r.Start()
	tell := func(mediaID string) {
		t.Helper()
		ev := events.DeletedOnThreads{Heard: events.Heard{
			UserID: testUser, AccountID: r.Account.ID, MediaID: mediaID, At: time.Now().Add(-10 * time.Second).UTC().Truncate(time.Second),
		}}
		for range 2 { // Meta repeats itself
			if err := r.Bus.Emit(t.Context(), ev); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish := func(d events.Draft) events.Post {
		t.Helper()
		p, fault := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: d, PublishAt: time.Now()}, 20*time.Second)
		if fault != nil {
			t.Fatal(fault)
		}
		return p
	}

	after := publish(events.Draft{Text: "taken away by hand"})
	tell(*after.PostedTweetID)
	if p := r.Await(after.ID, events.FactDeleted); p.Status != events.StatusDeleted || p.DeletedAt == nil {
		t.Errorf("%+v", p)
	}

	// The word comes before the row knows the id.
	early := r.Schedule(time.Hour, "known too late")
	tell("17999999999999999")
	_, err := r.DB.NewRaw("UPDATE posts SET state = 'published', fact = 'published', media_id = '17999999999999999', wake_at = NULL, told_rev = rev WHERE id = ?", early.ID).Exec(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p := r.Await(early.ID, events.FactDeleted); p.Status != events.StatusDeleted {
		t.Errorf("%+v", p)
	}

	// A chain is gone with its last part.
	chain := publish(events.Draft{Parts: []events.DraftPart{{Text: "one"}, {Text: "two"}}})
	tell(chain.Parts[0].MediaID)
	for r.Row(chain.ID, events.StatePublished).Parts[0].DeletedAt == nil {
		clock.Sleep(t.Context(), 10*time.Millisecond)
	}
	if row := r.Row(chain.ID, events.StatePublished); !row.DeletedAt.IsZero() {
		t.Errorf("half a chain counts as gone: %+v", row)
	}
	tell(chain.Parts[1].MediaID)
	r.Await(chain.ID, events.FactDeleted)

	// Deleting what is gone is done.
	if _, fault := r.Do(events.DeletePost{ID: after.ID, UserID: testUser}, 10*time.Second); fault != nil {
		t.Errorf("deleting what is gone: %v", fault)
	}
	for _, id := range []string{after.ID, early.ID, chain.ID} {
		if n := r.Emitted(id, events.FactDeleted); n != 1 {
			t.Errorf("%s was told as deleted %d times", id, n)
		}
	}

	// A replay of EVENTS into an empty table makes the same row.
	for p, err := posts.NewStore(r.DB, 0, 0).Get(t.Context(), r.DB, chain.ID); err == nil && p.EmittedRev < p.Rev; p, err = posts.NewStore(r.DB, 0, 0).Get(t.Context(), r.DB, chain.ID) {
		clock.Sleep(t.Context(), 10*time.Millisecond)
	}
	stop()
	before := r.Snapshots()
	delete(before, early.ID) // its row was made by hand
	if _, err := r.DB.NewRaw("TRUNCATE posts, post_attempts, posts_gone, recorder_positions").Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Config.RestoredSince = time.Now().Add(-time.Hour)
	_, stop = r.Start()
	r.Row(chain.ID, events.StatePublished)
	stop()
	again := r.Snapshots()
	delete(again, early.ID)
	if diff := cmp.Diff(before, again); diff != "" {
		t.Error(diff)
	}
}
