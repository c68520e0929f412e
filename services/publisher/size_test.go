package publisher

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/wire"
)

// longChain is a chain whose parts have twenty pictures each, at addresses of the given length.
func longChain(parts, length int) (d events.Draft) {
	for i := range parts {
		part := events.DraftPart{Text: fmt.Sprint("part ", i)}
		for range 20 {
			part.Media = append(part.Media, events.Media{Type: events.Image, URL: "https://cdn.example/i.jpg?" + strings.Repeat("&", length)})
		}
		d.Parts = append(d.Parts, part)
	}
	return d
}

// What no fact could carry is refused wherever a post can become so large, with the bound.
func TestTooLargeToBeTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	large := longChain(14, 2000)
	check := func(how string, f *events.Fault) {
		t.Helper()
		if f == nil || f.Code != events.Invalid || len(f.Details) != 1 || f.Details[0].Code != "post_too_large" ||
			f.Details[0].Pointer != "/parts" || !strings.Contains(f.Message, "512 KiB") {
			t.Errorf("%s is answered %+v", how, f)
		}
	}
	_, fault := r.do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: large, PublishAt: time.Now().Add(time.Hour)}, 5*time.Second)
	check("scheduling", fault)
	_, fault = r.do(events.PublishPost{PostID: events.NewPostID(), UserID: testUser, Draft: large, PublishAt: time.Now()}, 5*time.Second)
	check("publishing", fault)
	small, fault := r.do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: longChain(11, 2000), PublishAt: time.Now().Add(time.Hour)}, 5*time.Second)
	if fault != nil {
		t.Fatalf("a chain that can be told is refused: %+v", fault)
	}
	_, fault = r.do(events.EditPost{PostID: small.ID, UserID: testUser, Parts: large.Parts}, 5*time.Second)
	check("editing", fault)
	v, err := bus.Ask[events.Validation](t.Context(), r.bus, events.ValidatePost{UserID: testUser, Draft: large, PublishAt: time.Now().Add(time.Hour)})
	if err != nil || v.Valid || len(v.Errors) != 1 || v.Errors[0].Code != "post_too_large" {
		t.Errorf("validating says %t, %+v, %v", v.Valid, v.Errors, err)
	}
	// What was accepted is told whole, and can be read.
	if told := r.await(small.ID, events.FactScheduled); len(told.Parts) != 11 {
		t.Errorf("%d parts were told", len(told.Parts))
	}
	if p, err := bus.Ask[events.PostDetail](t.Context(), r.bus, events.GetPost{UserID: testUser, ID: small.ID}); err != nil || len(p.Parts) != 11 {
		t.Errorf("%d parts are read, %v", len(p.Parts), err)
	}
}

// No way that a post can go makes its snapshot larger than what it was measured by.
func TestToldAtMost(t *testing.T) {
	t.Parallel()
	d := longChain(3, 100)
	d.Zoned.TimeZone, d.ReplyTo = "Europe/Berlin", "18060000000000017"
	s := &Service{now: time.Now}
	p := s.newPost(events.NewPostID(), testUser, "acct_1", d, time.Now())
	most, err := toldAtMost(p)
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

// However many flaws a draft has, its refusal can be told, and says how many there are besides.
func TestManyFlaws(t *testing.T) {
	t.Parallel()
	d := events.Draft{Text: "x"}
	for range 20_000 {
		d.Media = append(d.Media, events.Media{Type: "x", URL: "y"})
	}
	f := (&Service{}).checkDraft(d)
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
	if err := tellable(&Post{Text: "short"}); err != nil {
		t.Error(err)
	}
	if err := tellable(&Post{Text: strings.Repeat("x", maxTold)}); !errors.Is(err, &events.Fault{Code: events.Invalid}) {
		t.Errorf("a text of %d bytes: %v", maxTold, err)
	}
}
