package posts

import (
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/threads"
)

// Threads may give a text back in another shape than it was given; that is the post all the same.
func TestNormalise(t *testing.T) {
	t.Parallel()
	for _, same := range [][2]string{
		{"one\r\ntwo", "one\ntwo"}, {"e\u0301t\u00e9", "\u00e9te\u0301"}, {"two  blanks", "two blanks"}, {" around ", "around"}, {"a\u200bb\ufeff", "ab"},
		{"heart \u2764\ufe0f", "heart \u2764"}, {"#topic", "topic"}, {"tab\there", "tab here"}, {"no\u00a0break", "no break"},
	} {
		if Normalise(same[0]) != Normalise(same[1]) {
			t.Errorf("%q is not %q", same[0], same[1])
		}
	}
	if Normalise("one") == Normalise("two") {
		t.Error("all texts are one")
	}
}

func TestCouldBe(t *testing.T) {
	t.Parallel()
	photo := []events.Media{{Type: events.Image, URL: "https://cdn.example/a.jpg"}}
	text, image := Post{Kind: events.KindPost, Text: "x"}, Post{Kind: events.KindPost, Text: "x", Media: photo}
	reply := Post{Kind: events.KindPost, Text: "x", ReplyTo: "9", ParentID: "9"}
	quote := Post{Kind: events.KindPost, Text: "x", QuotePostID: "8", QuotedID: "8"}
	repost := Post{Kind: events.KindRepost, RepostOf: "7", ParentID: "7"}
	for name, c := range map[string]struct {
		p    Post
		m    threads.Media
		want bool
	}{
		"other words":                  {text, threads.Media{Text: "y", MediaType: "TEXT_POST"}, true},
		"a kind nobody knows":          {text, threads.Media{MediaType: "HOLOGRAM"}, true},
		"another kind":                 {text, threads.Media{MediaType: "IMAGE"}, false},
		"a picture":                    {image, threads.Media{MediaType: "IMAGE"}, true},
		"a reply for a post":           {text, threads.Media{MediaType: "TEXT_POST", IsReply: true}, false},
		"a reply to the same":          {reply, threads.Media{MediaType: "TEXT_POST", IsReply: true, ReplyToID: "9"}, true},
		"a reply to what is not said":  {reply, threads.Media{MediaType: "TEXT_POST", IsReply: true}, true},
		"a reply to another":           {reply, threads.Media{MediaType: "TEXT_POST", IsReply: true, ReplyToID: "10"}, false},
		"a quote for a post":           {text, threads.Media{MediaType: "TEXT_POST", IsQuote: true}, false},
		"a quote of what is gone":      {quote, threads.Media{MediaType: "TEXT_POST", IsQuote: true}, true},
		"a quote of another":           {quote, threads.Media{MediaType: "TEXT_POST", IsQuote: true, QuotedID: "10"}, false},
		"a repost of the same":         {repost, threads.Media{MediaType: "REPOST_FACADE", RepostedID: "7"}, true},
		"a repost of what is not said": {repost, threads.Media{MediaType: "REPOST_FACADE"}, true},
		"a repost of another":          {repost, threads.Media{MediaType: "REPOST_FACADE", RepostedID: "10"}, false},
		"a post for a repost":          {repost, threads.Media{MediaType: "TEXT_POST"}, false},
	} {
		if CouldBe(&c.p, c.m) != c.want {
			t.Errorf("%s: want %t", name, c.want)
		}
	}
}
