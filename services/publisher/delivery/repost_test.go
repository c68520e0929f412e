package delivery_test

import (
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// reposts are what the simulator committed as reposts of a post.
func (r *system) reposts() (ids []string) {
	for _, p := range r.Sim.Posts() {
		if p.MediaType == "REPOST_FACADE" {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

func TestRepost(t *testing.T) {
	t.Parallel()

	t.Run("goes out at its second, once its post is live", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		first := r.Schedule(500*time.Millisecond, "worth repeating")
		p := r.accepted(events.Draft{RepostOf: first.ID}, 1500*time.Millisecond)
		if p.Kind != events.KindRepost {
			t.Errorf("it is a %s", p.Kind)
		}
		p = r.Await(p.ID, events.FactPublished)
		if ids := r.reposts(); len(ids) != 1 || ids[0] != *p.PostedTweetID || p.CalledAt.Before(p.ScheduledAt) {
			t.Errorf("Threads has %v, the post is %+v", ids, p)
		}
	})

	for name, fault := range map[string]threadssim.Fault{
		"the answer is lost after the commit":       {Op: "repost", Kind: threadssim.DropResponse},
		"the call is cut before the commit":         {Op: "repost", Kind: threadssim.DropRequest},
		"an error comes although it is live":        {Op: "repost", Kind: threadssim.ErrorAfterCommit},
		"an edge answers in HTML":                   {Op: "repost", Kind: threadssim.Edge5xx},
		"a transient error comes before the commit": {Op: "repost", Kind: threadssim.ErrorBeforeCommit, HTTP: 400, Code: 2},
	} {
		t.Run("goes out once when "+name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			r.Inject(fault)
			r.Start()
			first := r.Await(r.Schedule(300*time.Millisecond, "worth repeating").ID, events.FactPublished)
			p := r.Await(r.accepted(events.Draft{RepostOf: *first.PostedTweetID}, 300*time.Millisecond).ID, events.FactPublished)
			if ids := r.reposts(); len(ids) != 1 || ids[0] != *p.PostedTweetID {
				t.Errorf("Threads has %v, the post is %v%s", ids, *p.PostedTweetID, r.Rows())
			}
		})
	}

	t.Run("of what is not on Threads fails", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		_, fault := r.Do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{RepostOf: "18060000000099999"}, PublishAt: time.Now()}, 15*time.Second)
		if fault == nil || fault.Code != events.Refused {
			t.Errorf("answered %v%s", fault, r.Rows())
		}
	})

	t.Run("has nothing of its own", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		r.Start()
		draft := events.Draft{RepostOf: "18060000000099999", Text: "look"}
		_, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: draft, PublishAt: time.Now().Add(time.Hour)}, 5*time.Second)
		if fault == nil || fault.Code != events.Invalid || fault.Details[0].Code != "repost_alone" {
			t.Errorf("answered %+v", fault)
		}
	})
}

// A quote and a ghost are looked for where they are to be found.
func TestLookedForInTheirPlace(t *testing.T) {
	t.Parallel()
	for name, draft := range map[string]events.Draft{
		"quote": {Text: "what they said", QuotePostID: "first"},
		"ghost": {Text: "boo", Options: events.Options{Ghost: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			r.Start()
			first := r.Await(r.Schedule(300*time.Millisecond, "first").ID, events.FactPublished)
			r.Inject(threadssim.Fault{Op: "publish", Kind: threadssim.DropResponse})
			if draft.QuotePostID != "" {
				draft.QuotePostID = first.ID
			}
			p := r.Await(r.accepted(draft, 300*time.Millisecond).ID, events.FactPublished)
			if n, _ := r.Arrivals(draft.Text); n != 1 {
				t.Errorf("Threads has it %d times%s", n, r.Rows())
			}
			if emitted := r.Emitted(p.ID, events.FactUnconfirmed); emitted != 1 {
				t.Errorf("it was doubted %d times: the fault did not strike", emitted)
			}
		})
	}
}
