package draft

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/omni-write/threads/events"
)

// Each broken rule is named by the field of the draft.
func TestFieldErrorsPointIntoTheDraft(t *testing.T) {
	t.Parallel()
	img := func(url string) events.Media { return events.Media{Type: events.Image, URL: url} }
	good := img("https://cdn.example/a.jpg")
	for name, c := range map[string]struct {
		draft events.Draft
		want  []string
	}{
		"nothing wrong":  {events.Draft{Text: "hello", ReplyTo: events.NewPostID(), QuotePostID: events.NewPostID()}, nil},
		"a text":         {events.Draft{Text: strings.Repeat("x", 501)}, []string{"/text text_too_long"}},
		"no text":        {events.Draft{}, []string{"/text text_missing"}},
		"one image":      {events.Draft{Media: []events.Media{img("cdn.example")}}, []string{"/media/0/url media_url_invalid"}},
		"an alt text":    {events.Draft{Media: []events.Media{{Type: events.Image, URL: good.URL, AltText: strings.Repeat("x", 1001)}}}, []string{"/media/0/altText alt_text_too_long"}},
		"a second image": {events.Draft{Media: []events.Media{good, img("ftp://a.example/b")}}, []string{"/media/1/url media_url_invalid"}},
		"a sound":        {events.Draft{Media: []events.Media{{Type: "audio", URL: good.URL}}}, []string{"/media/0/type media_type_unknown"}},
		"21 images":      {events.Draft{Media: slicesOf(good, 21)}, []string{"/media children_count"}},
		"options": {
			events.Draft{Text: "which?", Options: events.Options{
				Poll: []string{"a", "b", strings.Repeat("c", 26)}, TopicTag: "a.b", ReplyControl: "nobody", Countries: []string{"DE", "UK"}, Location: "Berlin",
				Spoilers: []events.TextRange{{Offset: 0, Length: 3}, {Offset: 4, Length: 9}}, SpoilerMedia: true, LinkAttachment: "example",
			}},
			[]string{
				"/linkAttachment link_invalid", "/topicTag topic_tag_invalid", "/replyControl reply_control_unknown", "/poll/2 poll_invalid",
				"/spoilers/1 range_invalid", "/spoilerMedia not_for_this_type", "/countries/1 country_invalid", "/location location_invalid",
			},
		},
		"an attached text": {
			events.Draft{Text: "x", Options: events.Options{TextAttachment: &events.TextAttachment{
				Link: "x", Styles: []events.StyledRange{{TextRange: events.TextRange{Length: 1}, Styles: []string{"loud"}}},
			}}},
			[]string{
				"/textAttachment/plaintext text_attachment_invalid", "/textAttachment/link text_attachment_invalid",
				"/textAttachment/styles/0 text_attachment_invalid", "/textAttachment/styles/0 range_invalid",
			},
		},
		"a ghost": {events.Draft{Text: "boo", QuotePostID: events.NewPostID(), Options: events.Options{Ghost: true, ReplyApprovals: true}},
			[]string{"/replyApprovals not_together", "/ghost not_together"}},
		"every country, twice": {events.Draft{Text: "x", Options: events.Options{Countries: slices.Repeat([]string{"DE"}, 251)}}, []string{"/countries too_many"}},
		"a GIF with a long id": {events.Draft{Text: "x", Options: events.Options{GIF: &events.GIF{Provider: "GIPHY", ID: strings.Repeat("x", 129)}}},
			[]string{"/gif/id too_long"}},
		"half a minute": {events.Draft{Text: "x", PublishWithin: 30}, []string{"/publishWithin out_of_range"}},
		"a part": {events.Draft{Parts: []events.DraftPart{{Text: "one"}, {Text: strings.Repeat("x", 501), Media: []events.Media{img("x")}}}, Options: events.Options{TopicTag: "."}},
			[]string{"/topicTag topic_tag_invalid", "/parts/1/media/0/url media_url_invalid", "/parts/1/text text_too_long"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			if f := checkRules(c.draft); f != nil {
				for _, d := range f.Details {
					got = append(got, d.Pointer+" "+d.Code)
					if d.Message == "" {
						t.Errorf("%s has no sentence", d.Code)
					}
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("the field errors differ:\n%s", diff)
			}
		})
	}
}

func slicesOf(m events.Media, n int) (list []events.Media) {
	for range n {
		list = append(list, m)
	}
	return list
}
