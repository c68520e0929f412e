package delivery_test

import (
	"testing"
	"time"

	"github.com/omni-write/threads/events"
)

func TestEditKeepsItsWord(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	photo := func(alt string) []events.Media {
		return []events.Media{{Type: events.Image, URL: "https://cdn.example/a.jpg", AltText: alt}}
	}
	p, fault := r.Do(events.SchedulePost{PostID: events.NewPostID(), UserID: testUser, Draft: events.Draft{Text: "x", Media: photo("old")}, PublishAt: time.Now().Add(time.Minute)}, 5*time.Second)
	if fault != nil {
		t.Fatal(fault)
	}
	r.Row(p.ID, events.StateReady)
	media := photo("new")
	edited, fault := r.Do(events.EditPost{PostID: p.ID, UserID: testUser, Media: &media}, 5*time.Second)
	if fault != nil || edited.Media[0].AltText != "new" || edited.State != events.StateScheduled {
		t.Errorf("the alternative text is %q in state %s, %v", edited.Media[0].AltText, edited.State, fault)
	}
}
