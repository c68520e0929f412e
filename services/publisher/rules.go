package publisher

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
)

// The scopes that posting and deleting need (threads-api §3.1).
const (
	scopePublish = "threads_content_publish"
	scopeDelete  = "threads_delete"
	// scopeReadReplies is needed to find out what became of a reply whose answer was lost.
	scopeReadReplies = "threads_read_replies"
)

// publishWithin has these bounds, in seconds: a minute and a week.
const (
	minPublishWithin = 60
	maxPublishWithin = 7 * 24 * 60 * 60
)

// usable says whether an account can be used for what needs the scope.
func usable(a accounts.Account, scope string) error {
	if a.Status == events.ConnectionReconnectRequired {
		return events.Faultf(events.ReauthRequired, "Threads no longer accepts this account's token; reconnect the account first.")
	}
	if !a.HasScope(scope) {
		return events.Faultf(events.MissingScope, "This account did not grant %s; reconnect it and allow that.", scope)
	}
	return nil
}

// mayPost says whether an account can be used for a draft.
func mayPost(a accounts.Account, d events.Draft) error {
	if err := usable(a, scopePublish); err != nil {
		return err
	}
	if d.Location != "" && !a.HasScope(threads.ScopeLocationTagging) {
		words := "This account did not grant " + threads.ScopeLocationTagging + ", which a place needs; reconnect it and allow that, or leave the place out."
		return events.Faultf(events.MissingScope, "%s", words).At("/location", "missing_scope", words)
	}
	return nil
}

// checkPart holds a draft of one part against Threads' rules when it is accepted, and names every breach at once: a
// refusal must reach its author now, not at nine in the morning. The rules are the client's (threads.Container.Check).
func checkPart(d events.Draft) *events.Fault {
	f := events.Faultf(events.Invalid, "This post breaks a rule of Threads and would be refused; see the details.")
	whole := posts.Post{Text: d.Text, Media: d.Media, Options: d.Options, ReplyTo: d.ReplyTo, ParentID: d.ReplyTo, QuotedID: d.QuotePostID}
	whole.Children = make([]string, len(d.Media)) // as many as there will be
	for _, p := range containerOf(&whole).Check() {
		f.At(pointer(p.Field), p.Code, p.Detail)
	}
	if len(d.Media) > 1 {
		for i, m := range d.Media {
			child := item(m)
			child.IsCarouselItem = true
			for _, p := range child.Check() {
				f.At(mediaPointer(i, p.Field), p.Code, p.Detail)
			}
		}
	}
	for i, m := range d.Media {
		if m.Type != events.Image && m.Type != events.Video {
			f.At(fmt.Sprintf("/media/%d/type", i), threads.MediaTypeUnknown, `The type of media is "image" or "video".`)
		}
	}
	if d.PublishWithin != 0 && (d.PublishWithin < minPublishWithin || d.PublishWithin > maxPublishWithin) {
		f.At("/publishWithin", "out_of_range", fmt.Sprintf("publishWithin is from %d to %d seconds.", minPublishWithin, maxPublishWithin))
	}
	return breaches(f)
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

// outcomeFault is the fault of an error that ends a command; nil when the command should be tried again.
func outcomeFault(err error) *events.Fault {
	var f *events.Fault
	if errors.As(err, &f) && f.Code != events.Unavailable && f.Code != events.Internal {
		return f
	}
	return nil
}

func postField(id string) zap.Field    { return zap.String("post_id", id) }
func errField(err error) zap.Field     { return zap.Error(err) }
func accountField(id string) zap.Field { return zap.String("account_id", id) }
