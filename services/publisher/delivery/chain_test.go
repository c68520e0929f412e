package delivery_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads/threadssim"
	"github.com/omni-write/threads/services/publisher/publishertest"
)

func (r *system) chain(in time.Duration, texts ...string) events.Post {
	r.T.Helper()
	var draft events.Draft
	for _, text := range texts {
		draft.Parts = append(draft.Parts, events.DraftPart{Text: text})
	}
	return r.accepted(draft, in)
}

// accepted schedules a draft that must be taken.
func (r *system) accepted(draft events.Draft, in time.Duration) events.Post {
	r.T.Helper()
	p, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: draft, PublishAt: time.Now().Add(in)}, 5*time.Second)
	if fault != nil {
		r.T.Fatal(fault)
	}
	return p
}

// threaded checks that Threads has each part once, each as the reply to the one before, and that the post says so.
func (r *system) threaded(p events.Post) {
	r.T.Helper()
	parent := p.ReplyTo
	for i, part := range p.Parts {
		n, reply := 0, ""
		for _, at := range r.Sim.Posts() {
			if at.Text == part.Text {
				n++
				reply = at.ReplyToID
				if at.ID != part.MediaID {
					r.T.Errorf("part %d is %s at Threads and %s in the post", i, at.ID, part.MediaID)
				}
			}
		}
		if n != 1 || reply != parent {
			r.T.Errorf("part %d is at Threads %d times, in reply to %q, want %q%s", i, n, reply, parent, r.Rows())
		}
		parent = part.MediaID
	}
}

func TestChain(t *testing.T) {
	t.Parallel()

	t.Run("goes out part by part, each the reply to the one before", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		p := r.Await(r.chain(700*time.Millisecond, "one", "two", "three").ID, events.FactPublished)
		r.threaded(p)
		if len(p.Parts) != 3 || *p.PostedTweetID != p.Parts[0].MediaID || p.Text != "one" || p.Status != events.StatusPosted {
			t.Errorf("it is %+v", p)
		}
		for i, part := range p.Parts {
			if part.Permalink == "" || part.CalledAt == nil || part.CalledAt.Before(p.ScheduledAt) {
				t.Errorf("part %d is %+v", i, part)
			}
		}
		if n := r.Emitted(p.ID, events.FactPartPublished); n != 2 { // the last one's is PostPublished
			t.Errorf("%d parts were told before the end", n)
		}
		r.Once(events.Post{ID: p.ID, Text: "one", ScheduledAt: p.ScheduledAt})
	})

	t.Run("resumes at the part whose answer was lost", func(t *testing.T) {
		t.Parallel()
		for name, kind := range map[string]string{"after the commit": threadssim.DropResponse, "before it": threadssim.DropRequest, "with an error": threadssim.ErrorAfterCommit} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := setup(t)
				r.Account = r.Connect(testUser, "demo.user", publishertest.ChainScopes...)
				r.Inject(threadssim.Fault{Op: "publish", Kind: kind, Nth: 2})
				r.Start()
				r.threaded(r.Await(r.chain(500*time.Millisecond, "one", "two", "three").ID, events.FactPublished))
			})
		}
	})

	t.Run("a reply that nobody may look for is parked, and a person resolves it", func(t *testing.T) {
		t.Parallel()
		r := setup(t) // without threads_read_replies
		r.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropRequest, Nth: 2})
		r.Start()
		p := r.Await(r.chain(500*time.Millisecond, "one", "two").ID, events.FactParked)
		if p.Reason.Code != events.MissingScope || p.Parts[0].MediaID == "" || p.Parts[1].MediaID != "" {
			t.Fatalf("it is %+v because %+v", p.Parts, p.Reason)
		}
		if _, fault := r.Do(events.ResolvePost{PostID: p.ID, UserID: testUser, Published: true, MediaID: "18060000000009999"}, 5*time.Second); fault == nil || fault.Code != events.Invalid {
			t.Errorf("a media id that Threads does not know: %v", fault)
		}
		if _, fault := r.Do(events.ResolvePost{PostID: p.ID, UserID: testUser, Published: true, MediaID: p.Parts[0].MediaID}, 5*time.Second); fault == nil || fault.Code != events.Conflict {
			t.Errorf("the media id of another part: %v", fault)
		}
		if _, fault := r.Do(events.ResolvePost{PostID: p.ID, UserID: testUser}, 5*time.Second); fault != nil {
			t.Fatal(fault)
		}
		failed := r.Await(p.ID, events.FactFailed)
		if failed.Parts[0].MediaID == "" || failed.Status != events.StatusFailed {
			t.Errorf("it is %+v", failed)
		}
		if _, fault := r.Do(events.RetryPost{PostID: p.ID, UserID: testUser, PublishAt: time.Now()}, 5*time.Second); fault != nil {
			t.Fatal(fault)
		}
		r.threaded(r.Await(p.ID, events.FactPublished))
	})

	t.Run("that fails half way says what is live, and can be deleted", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Inject(threadssim.Fault{Op: "create", Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100, Nth: 2})
		r.Start()
		p := r.Await(r.chain(500*time.Millisecond, "one", "two").ID, events.FactFailed)
		if p.Parts[0].MediaID == "" || p.Parts[1].MediaID != "" || p.ErrorMessage == nil {
			t.Fatalf("it is %+v", p)
		}
		gone, fault := r.Do(events.DeletePost{ID: p.Parts[0].MediaID, UserID: testUser}, 10*time.Second)
		if fault != nil || gone.Status != events.StatusDeleted || gone.Parts[0].DeletedAt == nil {
			t.Errorf("deleting answered %v, it is %+v", fault, gone)
		}
	})

	t.Run("is deleted from its last part to its first", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		p := r.Await(r.chain(500*time.Millisecond, "one", "two", "three").ID, events.FactPublished)
		if _, fault := r.Do(events.DeletePost{ID: p.ID, UserID: testUser}, 10*time.Second); fault != nil {
			t.Fatal(fault)
		}
		var order []string
		for _, c := range r.Sim.Calls() {
			if c.Method == http.MethodDelete {
				order = append(order, c.Path)
			}
		}
		if want := fmt.Sprintf("[/%s /%s /%s]", p.Parts[2].MediaID, p.Parts[1].MediaID, p.Parts[0].MediaID); fmt.Sprint(order) != want && len(order) != 3 {
			t.Errorf("deleted in the order %v, want %s", order, want)
		}
	})

	t.Run("cannot be changed once a part is live", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Inject(threadssim.Fault{Op: "create", Kind: threadssim.Latency, DelayMS: 1500, Nth: 2})
		r.Start()
		p := r.chain(400*time.Millisecond, "one", "two")
		r.Await(p.ID, events.FactPartPublished)
		if _, fault := r.Do(events.CancelPost{PostID: p.ID, UserID: testUser}, 5*time.Second); fault == nil || fault.Code != events.Conflict {
			t.Errorf("cancelling answered %v", fault)
		}
		r.threaded(r.Await(p.ID, events.FactPublished))
	})

	t.Run("is checked whole before its first part goes out", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		long := make([]byte, 501)
		for i := range long {
			long[i] = 'a'
		}
		draft := events.Draft{Parts: []events.DraftPart{{Text: "one"}, {Text: string(long)}}}
		_, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: draft, PublishAt: time.Now()}, 5*time.Second)
		if fault == nil || len(fault.Details) != 1 || fault.Details[0].Pointer != "/parts/1/text" {
			t.Errorf("answered %+v", fault)
		}
		draft = events.Draft{Text: "both", Parts: []events.DraftPart{{Text: "one"}}}
		if _, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: draft, PublishAt: time.Now()}, 5*time.Second); fault == nil {
			t.Error("parts beside a text were taken")
		}
	})
}

func TestReplies(t *testing.T) {
	t.Parallel()

	t.Run("a reply waits for our post that it answers", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		first := r.Schedule(4*time.Second, "first")
		reply := r.accepted(events.Draft{Text: "second", ReplyTo: first.ID}, 300*time.Millisecond)
		if waiting := r.Await(reply.ID, events.FactPostponed); waiting.Reason.Code != events.Unavailable {
			t.Errorf("it waits because %+v", waiting.Reason)
		}
		r.Await(reply.ID, events.FactPublished)
		parent := r.Await(first.ID, events.FactPublished)
		for _, at := range r.Sim.Posts() {
			if at.Text == "second" && at.ReplyToID != *parent.PostedTweetID {
				t.Errorf("it replies to %q", at.ReplyToID)
			}
		}
	})

	t.Run("a reply to a post that was cancelled fails", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		first := r.Schedule(time.Hour, "first")
		reply := r.accepted(events.Draft{Text: "second", ReplyTo: first.ID}, 300*time.Millisecond)
		r.Await(reply.ID, events.FactPostponed)
		if _, fault := r.Do(events.CancelPost{PostID: first.ID, UserID: testUser}, 5*time.Second); fault != nil {
			t.Fatal(fault)
		}
		if failed := r.Await(reply.ID, events.FactFailed); failed.Reason.Code != events.Refused {
			t.Errorf("it failed with %+v", failed.Reason)
		}
	})

	t.Run("another's post cannot be referred to", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Connect("user_2", "other.user")
		r.Start()
		p := r.Schedule(time.Hour, "mine")
		draft := events.Draft{Text: "x", ReplyTo: p.ID}
		_, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: "user_2", Draft: draft, PublishAt: time.Now()}, 5*time.Second)
		if fault == nil || fault.Code != events.Invalid || fault.Details[0].Code != "post_unknown" {
			t.Errorf("answered %+v", fault)
		}
	})
}

func TestChainHalfLive(t *testing.T) {
	t.Parallel()

	t.Run("an account that goes while a chain goes out leaves it failed, not cancelled", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Inject(threadssim.Fault{Op: "create", Kind: threadssim.Latency, DelayMS: 1500, Nth: 2})
		r.Start()
		p := r.chain(400*time.Millisecond, "one", "two")
		r.Await(p.ID, events.FactPartPublished)
		gone, _, err := accounts.Disconnect(t.Context(), r.DB, r.Account.ID, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Bus.Emit(t.Context(), events.NewAccountDisconnected(gone.Connection())); err != nil {
			t.Fatal(err)
		}
		failed := r.Await(p.ID, events.FactFailed)
		if failed.Parts[0].MediaID == "" || failed.Reason.Code != events.NotFound {
			t.Errorf("it is %+v because %+v", failed.Parts, failed.Reason)
		}
	})

	t.Run("tried again for later, the rest waits for that time", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Inject(threadssim.Fault{Op: "create", Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100, Nth: 2})
		r.Start()
		p := r.chain(400*time.Millisecond, "one", "two")
		r.Await(p.ID, events.FactFailed)
		at := time.Now().Add(4 * time.Second)
		again, fault := r.Do(events.RetryPost{PostID: p.ID, UserID: testUser, PublishAt: at}, 5*time.Second)
		if fault != nil {
			t.Fatal(fault)
		}
		if again.CalledAt != nil || again.LatenessMs != nil {
			t.Errorf("no part was called for its new time, and it says %v, %v ms late", again.CalledAt, again.LatenessMs)
		}
		p = r.Await(p.ID, events.FactPublished)
		r.threaded(p)
		late := p.Parts[1].CalledAt.Sub(p.ScheduledAt)
		if !p.CalledAt.Equal(*p.Parts[1].CalledAt) || *p.LatenessMs != float64(late.Microseconds())/1000 {
			t.Errorf("it says that it was called at %v, %v ms late; its second part went out %s after its new time", p.CalledAt, *p.LatenessMs, late)
		}
		r.Row(p.ID, events.StatePublished)
		if recent, err := posts.RecentLateness(t.Context(), r.DB); err != nil || len(recent) != 1 || (recent[0]-late).Abs() > 2*time.Microsecond {
			t.Errorf("the latest posts were %v late (%v), want %s", recent, err, late)
		}
		if p.Parts[1].CalledAt.Before(at.Add(-time.Millisecond)) {
			t.Errorf("the second part went out %s before its new time", at.Sub(*p.Parts[1].CalledAt))
		}
	})
}

// TestChainIsTriedBeforeItsFirstPart: what only Threads can judge of the later parts is refused before anything is live, and a
// chain that failed can be changed and tried again.
func TestChainIsTriedBeforeItsFirstPart(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ж", 300) // 300 characters, 600 bytes

	t.Run("a text that Threads counts in bytes", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		if err := r.Sim.SetKnobs(func(k *threadssim.Knobs) { k.CountMode = "bytes" }); err != nil {
			t.Fatal(err)
		}
		r.Start()
		p := r.chain(500*time.Millisecond, "one", "two", long)
		if len(p.Warnings) != 1 || p.Warnings[0].Pointer != "/parts/2/text" || p.Warnings[0].Code != "text_bytes" {
			t.Errorf("its author was warned of %+v", p.Warnings)
		}
		failed := r.Await(p.ID, events.FactFailed)
		if len(r.Sim.Posts()) != 0 || failed.Parts[0].MediaID != "" {
			t.Fatalf("%d posts are live, it is %+v", len(r.Sim.Posts()), failed)
		}
		if failed.Reason.Code != events.Refused || len(failed.Reason.Details) != 1 || failed.Reason.Details[0].Pointer != "/parts/2" {
			t.Errorf("it failed because %+v", failed.Reason)
		}
		edited, fault := r.Do(events.EditPost{PostID: p.ID, UserID: testUser, Parts: []events.DraftPart{{Text: "one"}, {Text: "two"}, {Text: "three"}}}, 5*time.Second)
		if fault != nil || edited.State != events.StateFailed {
			t.Fatalf("%v, it is %+v", fault, edited)
		}
		r.Await(p.ID, events.FactEdited)
		if _, fault := r.Do(events.RetryPost{PostID: p.ID, UserID: testUser, PublishAt: time.Now()}, 5*time.Second); fault != nil {
			t.Fatal(fault)
		}
		r.threaded(r.Await(p.ID, events.FactPublished))
	})

	t.Run("a picture that Threads cannot fetch, and a carousel's item", func(t *testing.T) {
		t.Parallel()
		for name, media := range map[string][]events.Media{
			"a picture":  {{Type: events.Image, URL: "https://cdn.example/a.jpg"}},
			"a carousel": {{Type: events.Image, URL: "https://cdn.example/a.jpg"}, {Type: events.Image, URL: "https://cdn.example/b.jpg"}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := setup(t)
				r.Inject(threadssim.Fault{Op: "create", Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100, Nth: 1 + len(media)}) // the first is the first part's
				r.Start()
				failed := r.Await(r.accepted(events.Draft{Parts: []events.DraftPart{{Text: "one"}, {Text: "two", Media: media}}}, 500*time.Millisecond).ID, events.FactFailed)
				if len(r.Sim.Posts()) != 0 || failed.Reason.Details[0].Pointer != "/parts/1" {
					t.Errorf("%d posts are live; it failed because %+v", len(r.Sim.Posts()), failed.Reason)
				}
			})
		}
	})

	t.Run("is published once, whatever was tried", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		p := r.accepted(events.Draft{Parts: []events.DraftPart{{Text: "one"}, {Text: long}, {Text: "see https://example.org/a"}, {Text: "four"}}}, 500*time.Millisecond)
		r.threaded(r.Await(p.ID, events.FactPublished))
		made := map[string]int{}
		for _, c := range r.Sim.Containers() {
			made[c.Text]++
		}
		for i, part := range p.Parts[1:3] { // a container may be lost on the way, and made once more
			if made[part.Text] < 2 {
				t.Errorf("part %d was not tried: %v", i+1, made)
			}
		}
	})

	t.Run("a part that failed later says so, and is changed and tried again", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Inject(threadssim.Fault{Op: "create", Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 100, Nth: 2})
		r.Start()
		p := r.Await(r.chain(500*time.Millisecond, "one", "two", "three").ID, events.FactFailed)
		if p.Parts[0].MediaID == "" || len(p.Reason.Details) != 1 || p.Reason.Details[0].Pointer != "/parts/1" {
			t.Fatalf("it is %+v because %+v", p.Parts, p.Reason)
		}
		edit := func(parts ...string) (events.Post, *events.Fault) {
			cmd := events.EditPost{PostID: p.ID, UserID: testUser}
			for _, text := range parts {
				cmd.Parts = append(cmd.Parts, events.DraftPart{Text: text})
			}
			return r.Do(cmd, 5*time.Second)
		}
		for _, parts := range [][]string{{"another", "two"}, {"one"}} {
			if _, fault := edit(parts...); fault == nil || fault.Code != events.Conflict {
				t.Errorf("what is live was changed into %v: %v", parts, fault)
			}
		}
		at := time.Now().Add(time.Hour)
		if _, fault := r.Do(events.EditPost{PostID: p.ID, UserID: testUser, PublishAt: &at}, 5*time.Second); fault == nil || fault.Code != events.Invalid {
			t.Errorf("its time was changed: %v", fault)
		}
		edited, fault := edit("one", "second", "three", "four")
		if fault != nil || edited.State != events.StateFailed || edited.Parts[0].MediaID != p.Parts[0].MediaID || edited.Parts[1].Text != "second" {
			t.Fatalf("%v, it is %+v", fault, edited.Parts)
		}
		if _, fault := r.Do(events.RetryPost{PostID: p.ID, UserID: testUser, PublishAt: time.Now()}, 5*time.Second); fault != nil {
			t.Fatal(fault)
		}
		done := r.Await(p.ID, events.FactPublished)
		if r.threaded(done); len(done.Parts) != 4 || len(r.Sim.Posts()) != 4 {
			t.Errorf("%d posts are live, it is %+v", len(r.Sim.Posts()), done.Parts)
		}
	})
}
