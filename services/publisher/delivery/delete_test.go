package delivery_test

import (
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// A read that does not find the post is no proof that it is gone.
func TestDeleteNotVisible(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	p, fault := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "not visible"}, PublishAt: time.Now()}, 10*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	r.Inject(threadssim.Fault{Op: "media", Kind: threadssim.NotFound})
	if gone, fault := r.Do(events.DeletePost{ID: p.ID, UserID: testUser}, 10*time.Second); fault != nil || gone.Status != events.StatusDeleted {
		t.Fatalf("answered %+v, %v", gone, fault)
	}
	for _, sp := range r.Sim.Posts() {
		if !sp.Deleted {
			t.Error("it was told as deleted, and Threads still has it")
		}
	}
}
