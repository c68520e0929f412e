package delivery_test

import (
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// A search looks at every part of a chain, and at what it says, not at how that is written down.
func TestSearchLooksAtEveryPart(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.Start()
	p := r.accepted(events.Draft{Parts: []events.DraftPart{{Text: "the first"}, {Text: `the "second" änd last`}}}, time.Hour)
	r.accepted(events.Draft{Text: "another"}, time.Hour)
	for words, want := range map[string]int{"first": 1, `"SECOND" än`: 1, "last": 1, "text": 0, "another": 1} {
		list, err := bus.Ask[asks.PostList](waiting.Context(t), r.Bus, asks.ListPosts{UserID: testUser, Search: words})
		if err != nil || len(list.Posts) != want {
			t.Errorf("%q finds %d, %v", words, len(list.Posts), err)
		}
		if want == 1 && words != "another" && len(list.Posts) == 1 && list.Posts[0].ID != p.ID {
			t.Errorf("%q finds another post", words)
		}
	}
}
