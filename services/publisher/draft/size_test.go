package draft

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/wire"
	"github.com/omni-write/threads/services/publisher/draft/drafttest"
)

// No way that a post can go makes its snapshot larger than what it was measured by.
func TestLargestSnapshot(t *testing.T) {
	t.Parallel()
	d := drafttest.LongChain(3, 100)
	d.TimeZone, d.ReplyTo = "Europe/Berlin", "18060000000000017"
	s := &Service{now: time.Now}
	p := s.NewPost(events.NewPostID(), "user_1", "acct_1", d, time.Now())
	most, err := largestSnapshot(p)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	link := "https://www.threads.com/@some_one_with_a_long_name_of_thirty/post/DCxyzabcdefghijkl"
	for i := range p.Parts {
		p.Parts[i].MediaID, p.Parts[i].Permalink = "18060000000000017", link
		p.Parts[i].CalledAt, p.Parts[i].AcceptedAt, p.Parts[i].DeletedAt = &now, &now, &now
	}
	p.MediaID, p.Permalink, p.CalledAt, p.AcceptedAt, p.DeleteRequestedAt, p.DeletedAt = "18060000000000017", link, now, now, now, now
	for _, state := range []events.State{
		events.StateScheduled, events.StateReady, events.StateWaiting, events.StatePublishing, events.StateUnconfirmed,
		events.StateConcluding, events.StateParked, events.StatePublished, events.StateFailed, events.StateCancelled,
	} {
		p.State, p.Rev = state, 1<<40
		p.Reason = events.Faultf(events.ReauthRequired, "%s", strings.Repeat("<", 1000)).At("/scheduledAt", "code", strings.Repeat("&", 100))
		b, err := wire.Encode(p.Snapshot())
		if err != nil || len(b) > most {
			t.Errorf("as %s it takes %d bytes (%v), more than the %d it was measured by", state, len(b), err, most)
		}
	}
}

// However many field errors a draft has, its refusal fits into a message, and says how many there are besides.
func TestManyFieldErrors(t *testing.T) {
	t.Parallel()
	d := events.Draft{Text: "x"}
	for range 20_000 {
		d.Media = append(d.Media, events.Media{Type: "x", URL: "y"})
	}
	f := (&Service{}).Check(d)
	b, err := json.Marshal(f)
	if err != nil || len(b) > 100<<10 || len(f.Details) != maxDetails+1 || f.Details[maxDetails].Code != "and_more" {
		t.Errorf("the refusal has %d details and %d bytes, %v", len(f.Details), len(b), err)
	}
	var words []string
	for _, d := range f.Details {
		words = append(words, d.Code)
	}
	if slices.Contains(words[:maxDetails], "and_more") {
		t.Error("it says twice that there are more")
	}
	if err := CheckSize(&posts.Post{Text: "short"}); err != nil {
		t.Error(err)
	}
	if err := CheckSize(&posts.Post{Text: strings.Repeat("x", maxSnapshot)}); !errors.Is(err, &events.Fault{Code: events.Invalid}) {
		t.Errorf("a text of %d bytes: %v", maxSnapshot, err)
	}
}
