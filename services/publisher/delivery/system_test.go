package delivery_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

func TestMain(m *testing.M) {
	if bustest.ServeNode() {
		return
	}
	pgtest.Main(m)
}

const testUser = publishertest.User

// system is a publisher with everything real around it but Threads, which is simulated.
type system struct{ *publishertest.System }

func setup(t *testing.T) *system {
	t.Helper()
	return &system{publishertest.New(t)}
}

// setupOn is setup on NATS servers of the caller's.
func setupOn(t *testing.T, connect func(name string) *bus.Bus) *system {
	t.Helper()
	return &system{publishertest.NewOn(t, connect)}
}

func TestLife(t *testing.T) {
	t.Parallel()

	t.Run("a scheduled text goes out at its second", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		p := r.Schedule(1500*time.Millisecond, "on time")
		if p.State != events.StateScheduled || p.Status != events.StatusQueued {
			t.Errorf("accepted as %s, %s", p.State, p.Status)
		}
		live := r.Await(p.ID, events.FactPublished)
		r.Once(live)
		if live.Status != events.StatusPosted || *live.LatenessMs < 0 || live.Permalink == nil {
			t.Errorf("published as %+v", live)
		}
		row := r.Row(p.ID, events.StatePublished)
		if row.MediaID != *live.PostedTweetID || row.Rev != live.Rev || !row.WakeAt.IsZero() {
			t.Errorf("the row is %+v", row)
		}
	})

	t.Run("a post for now is answered when it is live", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		p, fault := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "now"}, PublishAt: time.Now()}, 10*time.Second)
		if fault != nil || p.Status != events.StatusPosted {
			t.Fatalf("answered %+v, %v", p, fault)
		}
		r.Once(p)
		if row := r.Row(p.ID, events.StatePublished); row.ID != p.ID {
			t.Error("the row does not say so")
		}
	})

	t.Run("an image and a carousel wait for their processing", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		photo := events.Media{Type: events.Image, URL: "https://cdn.example/a.jpg", AltText: "a"}
		clip := events.Media{Type: events.Video, URL: "https://cdn.example/b.mp4"}
		for name, media := range map[string][]events.Media{"image": {photo}, "carousel": {photo, clip}} {
			p, fault := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: name, Media: media}, PublishAt: time.Now()}, 15*time.Second)
			if fault != nil || p.Status != events.StatusPosted {
				t.Fatalf("%s: answered %+v, %v", name, p, fault)
			}
			r.Once(p)
		}
	})

	t.Run("cancelled is never published", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		p := r.Schedule(1200*time.Millisecond, "taken back")
		after := r.Schedule(1800*time.Millisecond, "the one after")
		cancelled, fault := r.Do(events.CancelPost{PostID: p.ID, UserID: testUser}, 5*time.Second)
		if fault != nil || cancelled.Status != events.StatusCancelled {
			t.Fatalf("answered %+v, %v", cancelled, fault)
		}
		r.Await(after.ID, events.FactPublished)
		if n, _ := r.Arrivals(p.Text); n != 0 {
			t.Error("it went out all the same")
		}
		if _, fault := r.Do(events.CancelPost{PostID: p.ID, UserID: testUser}, 5*time.Second); fault == nil || fault.Code != events.Conflict {
			t.Errorf("cancelling again says %v", fault)
		}
	})

	t.Run("edited goes out with the new words at the new time", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		p := r.Schedule(time.Hour, "old words")
		words, at := "new words", time.Now().Add(1500*time.Millisecond)
		edited, fault := r.Do(events.EditPost{PostID: p.ID, UserID: testUser, IfRev: p.Rev, Text: &words, PublishAt: &at}, 5*time.Second)
		if fault != nil || edited.Text != words {
			t.Fatalf("answered %+v, %v", edited, fault)
		}
		if _, fault := r.Do(events.EditPost{PostID: p.ID, UserID: testUser, IfRev: p.Rev, Text: &words}, 5*time.Second); fault == nil || fault.Code != events.Conflict {
			t.Errorf("an edit of an old revision says %v", fault)
		}
		r.Once(r.Await(p.ID, events.FactPublished))
		if n, _ := r.Arrivals("old words"); n != 0 {
			t.Error("the old words went out")
		}
	})

	t.Run("deleted is gone from Threads", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		p, _ := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "soon gone"}, PublishAt: time.Now()}, 10*time.Second)
		for _, id := range []string{*p.PostedTweetID, p.ID} { // by Threads' id; and again by ours, to the same answer
			gone, fault := r.Do(events.DeletePost{ID: id, UserID: testUser}, 10*time.Second)
			if fault != nil || gone.Status != events.StatusDeleted {
				t.Fatalf("answered %+v, %v", gone, fault)
			}
		}
		for _, sp := range r.Sim.Posts() {
			if sp.Text == p.Text && !sp.Deleted {
				t.Error("Threads still has it")
			}
		}
	})
}

func TestCommands(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()

	t.Run("a command delivered twice says the same twice", func(t *testing.T) {
		id, post := events.NewCommandID(), events.NewPostID()
		cmd := events.SchedulePost{PostID: post, UserID: testUser, Draft: events.Draft{Text: "twice"}, PublishAt: time.Now().Add(time.Hour)}
		first, fault := r.DoAs(id, cmd, 5*time.Second)
		if fault != nil {
			t.Fatal(fault)
		}
		// The stream would drop the same id within its window; the ledger must do so for ever.
		o := r.Redeliver(id, cmd)
		if again := publishertest.DecodePost(t, o); again.ID != first.ID || again.Rev != first.Rev || o.Fault != nil {
			t.Errorf("first %+v, then %+v, %v", first, again, o.Fault)
		}
	})

	for name, c := range map[string]struct {
		cmd     events.Command
		code    events.Code
		pointer string
		detail  string
	}{
		"a text that is too long": {events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: strings.Repeat("a", 501)}, PublishAt: time.Now().Add(time.Hour)}, events.Invalid, "/text", "text_too_long"},
		"no text and no media":    {events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, PublishAt: time.Now().Add(time.Hour)}, events.Invalid, "/text", "text_missing"},
		"a media url of no web address": {events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Media: []events.Media{{Type: events.Image, URL: "ftp://cdn.example/a.jpg"}}}, PublishAt: time.Now()},
			events.Invalid, "/media/0/url", threads.MediaURLInvalid},
		"a time in the past":        {events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "late"}, PublishAt: time.Now().Add(-2 * time.Minute)}, events.Invalid, "/scheduledAt", "time_in_past"},
		"a user without an account": {events.SchedulePost{PostID: events.NewPostID(), UserID: "stranger", Draft: events.Draft{Text: "hello"}, PublishAt: time.Now().Add(time.Hour)}, events.NotFound, "", ""},
		"a foreign account":         {events.SchedulePost{PostID: events.NewPostID(), UserID: "stranger", Draft: events.Draft{Text: "hello", AccountID: r.Account.ID}, PublishAt: time.Now().Add(time.Hour)}, events.NotFound, "", ""},
		"a foreign post":            {events.CancelPost{PostID: r.Schedule(time.Hour, "mine").ID, UserID: "stranger"}, events.NotFound, "", ""},
		"a post that is not there":  {events.DeletePost{ID: "18060000000000017", UserID: testUser}, events.NotFound, "", ""},
	} {
		t.Run(name+" is refused at once", func(t *testing.T) {
			_, fault := r.Do(c.cmd, 5*time.Second)
			if fault == nil || fault.Code != c.code {
				t.Fatalf("answered %v, want %s", fault, c.code)
			}
			if c.pointer != "" && (len(fault.Details) != 1 || fault.Details[0].Pointer != c.pointer || fault.Details[0].Code != c.detail) {
				t.Errorf("details %+v, want %s at %s", fault.Details, c.detail, c.pointer)
			}
		})
	}
}

func TestWakeOnlyWhenDue(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s, _ := r.Start()
	p := r.Schedule(time.Hour, "much later")
	// Early, doubled, stale wake-ups, and one for a post that never was.
	for _, id := range []string{p.ID, p.ID, events.NewPostID()} {
		err := s.Delivery.Wake(t.Context(), bus.Delivery{}, id)
		if err != nil && !strings.HasPrefix(err.Error(), "again in") {
			t.Errorf("waking %s: %v", id, err)
		}
	}
	if n, _ := r.Arrivals(p.Text); n != 0 {
		t.Error("an early wake-up published the post")
	}
}

func TestTwoPublishers(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	r.Start()
	var list []events.Post
	for i := range 20 {
		list = append(list, r.Schedule(1500*time.Millisecond, fmt.Sprintf("one of twenty: %d", i)))
	}
	for _, p := range list {
		r.Once(r.Await(p.ID, events.FactPublished))
	}
}
