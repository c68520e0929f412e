package draft

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

// publishWithin has these bounds, in seconds: a minute and a week.
const (
	minPublishWithin = 60
	MaxPublishWithin = 7 * 24 * 60 * 60
)

// maxCountries is more than there are, and maxGIF more characters than a GIF's id has.
const maxCountries, maxGIF = 250, 128

// checkPart checks a draft of one part against Threads' rules when it is accepted, and names everything that is wrong: its author
// should learn that now, not when the post is due. The rules are the client's (threads.Container.Check).
func checkPart(d events.Draft) *events.Fault {
	f := events.Faultf(events.Invalid, "This post breaks a rule of Threads and would be refused; see errors for each field.")
	tooMany := len(d.Countries) > maxCountries
	if tooMany { // one word about all of them
		d.Countries = nil
	}
	whole := posts.Post{Text: d.Text, Media: d.Media, Options: d.Options, ReplyTo: d.ReplyTo, ParentID: d.ReplyTo, QuotedID: d.QuotePostID}
	whole.Children = make([]string, len(d.Media)) // as many as there will be
	for _, p := range Container(&whole).Check() {
		f.At(pointer(p.Field), p.Code, p.Detail)
	}
	if len(d.Media) > 1 {
		for i, m := range d.Media {
			child := mediaContainer(m)
			child.IsCarouselItem = true
			for _, p := range child.Check() {
				f.At(mediaPointer(i, p.Field), p.Code, p.Detail)
			}
		}
	}
	if tooMany {
		f.At("/countries", "too_many", fmt.Sprintf("This list may have up to %d items.", maxCountries))
	}
	if d.GIF != nil && len(d.GIF.ID) > maxGIF {
		f.At("/gif/id", "too_long", fmt.Sprintf("This may have up to %d characters.", maxGIF))
	}
	for i, m := range d.Media {
		if m.Type != events.Image && m.Type != events.Video {
			f.At(fmt.Sprintf("/media/%d/type", i), threads.MediaTypeUnknown, `The type of media is "image" or "video".`)
		}
	}
	if d.PublishWithin != 0 && (d.PublishWithin < minPublishWithin || d.PublishWithin > MaxPublishWithin) {
		f.At("/publishWithin", "out_of_range", fmt.Sprintf("A post may still go out %d to %d seconds after its time; choose a publishWithin in that range.", minPublishWithin, MaxPublishWithin))
	}
	return FieldErrors(f)
}

// ourNames are the fields of a draft by Threads' names of its parameters.
var ourNames = map[string]string{
	"children": "media", "reply_control": "replyControl", "topic_tag": "topicTag", "link_attachment": "linkAttachment",
	"poll_attachment": "poll", "gif_attachment": "gif", "text_attachment": "textAttachment", "text_entities": "spoilers",
	"is_spoiler_media": "spoilerMedia", "is_ghost_post": "ghost", "enable_reply_approvals": "replyApprovals",
	"allowlisted_country_codes": "countries", "link_attachment_url": "link", "text_with_styling_info": "styles",
	"location_id": "location", "reply_to_id": "replyTo", "quote_post_id": "quotePostId",
	"option_a": "0", "option_b": "1", "option_c": "2", "option_d": "3", // of the list of answers
}

// pointer is the JSON pointer into a draft for the path of a problem.
func pointer(field string) string {
	if name, _, _ := strings.Cut(field, "."); name == "image_url" || name == "video_url" || name == "alt_text" || name == "media_type" {
		return mediaPointer(0, field)
	}
	words := strings.Split(field, ".")
	for i, word := range words {
		words[i] = cmp.Or(ourNames[word], word)
	}
	return "/" + strings.Join(words, "/")
}

// mediaPointer is the JSON pointer to a field of one picture or video.
func mediaPointer(i int, field string) string {
	name := map[string]string{"alt_text": "altText", "media_type": "type"}[field]
	return fmt.Sprintf("/media/%d/%s", i, cmp.Or(name, "url"))
}
