package find

import (
	"slices"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

var claimed = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func idsOf(list []threads.Media) (ids []string) {
	for _, m := range list {
		ids = append(ids, m.ID)
	}
	return ids
}

func TestMatch(t *testing.T) {
	t.Parallel()
	const before, none = -time.Minute, ""
	listed := func(id, text string, at time.Duration) threads.Media {
		return threads.Media{ID: id, Text: text, MediaType: "TEXT_POST", Timestamp: claimed.Add(at)}
	}
	undated := listed("1", "ours", 0)
	undated.Timestamp = time.Time{}
	picture := listed("1", "ours", 0)
	picture.MediaType = "IMAGE"
	for name, c := range map[string]struct {
		listed            []threads.Media
		matching, similar string
	}{
		"nothing":                                      {nil, none, none},
		"the post":                                     {[]threads.Media{listed("1", "ours", time.Second)}, "1", none},
		"by a clock that is behind":                    {[]threads.Media{listed("1", "ours", before)}, "1", none},
		"without a time":                               {[]threads.Media{undated}, "1", none},
		"the same words long before":                   {[]threads.Media{listed("1", "ours", before-2*time.Second)}, none, "1"},
		"other words after the claim":                  {[]threads.Media{listed("1", "another", time.Second)}, none, "1"},
		"other words in the second before":             {[]threads.Media{listed("1", "another", -time.Second)}, none, "1"},
		"other words before the claim":                 {[]threads.Media{listed("1", "another", -3*time.Second)}, none, none},
		"another kind":                                 {[]threads.Media{picture}, none, none},
		"in two lists":                                 {[]threads.Media{listed("1", "ours", 0), listed("1", "ours", 0)}, "1", none},
		"two that say the same, and one that does not": {[]threads.Media{listed("1", "ours", 0), listed("2", "ours", 0), listed("3", "another", 0)}, "12", "3"},
	} {
		p := &posts.Post{Kind: events.KindPost, Text: "ours", PublishAt: claimed.Add(-time.Hour), DoubtSince: claimed}
		seen := match(p, c.listed)
		if m, s := join(idsOf(seen.Matching)), join(idsOf(seen.Similar)); m != c.matching || s != c.similar {
			t.Errorf("%s: %q matches and %q is similar", name, m, s)
		}
	}
}

func join(ids []string) (all string) {
	for _, id := range ids {
		all += id
	}
	return all
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	m := func(id, text string) threads.Media { return threads.Media{ID: id, Text: text, MediaType: "TEXT_POST"} }
	c := Candidates{Matching: []threads.Media{m("1", "ours"), m("2", "ours")}, Similar: []threads.Media{m("3", "theirs"), m("4", "nobody's")}}
	if ids := c.ids(); !slices.Equal(ids, []string{"1", "2", "3", "4"}) {
		t.Errorf("their ids are %q", ids)
	}
	c = c.without(map[string]bool{"2": true})
	if ids := c.ids(); !slices.Equal(ids, []string{"1", "3", "4"}) {
		t.Errorf("without another row's it is %q", ids)
	}
	c = c.withoutPostsOf([]posts.Post{{Kind: events.KindPost, Text: "theirs"}, {Kind: events.KindPost, Text: "ours"}})
	if ids := c.ids(); !slices.Equal(ids, []string{"1", "4"}) {
		t.Errorf("without what others explain it is %q", ids)
	}

	for want, c := range map[string]Candidates{
		"The account's list does not have this post.":                                 {},
		"The account's list has this post.":                                           {Matching: c.Matching, Similar: c.Similar},
		"The account's list has several posts that could be this one.":                {Matching: slices.Concat(c.Matching, c.Matching)},
		"The account's list has a post that no row knows and that could be this one.": {Similar: c.Similar},
	} {
		if got := c.Sentence(); got != want {
			t.Errorf("it says %q, not %q", got, want)
		}
	}
}
