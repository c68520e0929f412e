package publisher

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
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

// maxMedia is what Threads takes in one carousel.
const maxMedia = 20

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

// checkDraft holds a draft against Threads' rules when it is accepted, and names every breach at once: a refusal
// must reach its author now, not at nine in the morning.
func checkDraft(d events.Draft) *events.Fault {
	f := events.Faultf(events.Invalid, "This post breaks a rule of Threads and would be refused; see the details.")
	if d.Text == "" && len(d.Media) == 0 {
		f.At("/text", "text_missing", "A post needs a text or a picture or a video.")
	}
	for _, p := range threads.CheckText(d.Text) {
		f.At("/text", p.Code, p.Detail)
	}
	if len(d.Media) > maxMedia {
		f.At("/media", "too_many_media", fmt.Sprintf("A post takes up to %d pictures and videos.", maxMedia))
	}
	for i, m := range d.Media {
		at := fmt.Sprintf("/media/%d/", i)
		if m.Type != events.Image && m.Type != events.Video {
			f.At(at+"type", "media_type_unknown", `The type of media is "image" or "video".`)
		}
		if p := threads.CheckMediaURL(m.URL); p != nil {
			f.At(at+"url", p.Code, p.Detail)
		}
		if len([]rune(m.AltText)) > 1000 {
			f.At(at+"altText", "alt_text_too_long", "The alternative text takes up to 1,000 characters.")
		}
	}
	if d.PublishWithin != 0 && (d.PublishWithin < minPublishWithin || d.PublishWithin > maxPublishWithin) {
		f.At("/publishWithin", "out_of_range", fmt.Sprintf("publishWithin is from %d to %d seconds.", minPublishWithin, maxPublishWithin))
	}
	if len(f.Details) == 0 {
		return nil
	}
	if len(f.Details) == 1 {
		f.Message = f.Details[0].Message
	}
	return f
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
