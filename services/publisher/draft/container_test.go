package draft_test

import (
	"strings"
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/publisher/draft"
)

func TestTrials(t *testing.T) {
	t.Parallel()
	picture := events.Media{Type: events.Image, URL: "https://cdn.example/a.jpg"}
	for name, c := range map[string]struct {
		part events.Part
		want int
	}{
		"a text that our own rules can judge":  {events.Part{Text: "four"}, 0},
		"one of as many bytes as characters":   {events.Part{Text: strings.Repeat("x", threads.MaxText)}, 0},
		"one of more bytes than that":          {events.Part{Text: strings.Repeat("ж", 300)}, 1},
		"one with a link":                      {events.Part{Text: "see https://example.org/a"}, 1},
		"a picture":                            {events.Part{Text: "x", Media: []events.Media{picture}}, 1},
		"a carousel: its words and every item": {events.Part{Text: "x", Media: []events.Media{picture, picture, picture}}, 3},
	} {
		list := draft.Trials(c.part)
		if len(list) != c.want {
			t.Errorf("%s: %d containers, want %d", name, len(list), c.want)
		}
		for i, made := range list {
			if (made.Text == c.part.Text) != (i == 0) || made.ReplyToID != "" || made.IsCarouselItem != (i > 0) || len(made.Check()) > 0 {
				t.Errorf("%s: container %d is %+v, with %v", name, i, made, made.Check())
			}
		}
	}
}
