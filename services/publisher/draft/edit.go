package draft

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/omni-write/threads/events"
)

// Edited is a draft as a command changes it.
func Edited(d events.Draft, cmd events.EditPost) (events.Draft, error) {
	if d.RepostOf != "" && (cmd.Text != nil || cmd.Media != nil || cmd.Parts != nil) {
		const words = "A repost has no words or media of its own; leave them out, or quote the post instead."
		return d, events.Faultf(events.Invalid, words).At("/text", "not_of_a_repost", words)
	}
	if cmd.Parts != nil {
		d.Parts, d.Text, d.Media = cmd.Parts, "", nil
	}
	if cmd.Text != nil {
		d.Text = *cmd.Text
	}
	if cmd.Media != nil {
		d.Media = *cmd.Media
	}
	return patched(d, cmd.Change)
}

// editable are the fields of a draft that an edit may change by their names. What a post replies to or quotes is its place,
// and a new place is another post.
var editable = []string{
	"replyControl", "topicTag", "linkAttachment", "poll", "gif", "textAttachment", "spoilers", "spoilerMedia", "ghost",
	"replyApprovals", "location", "countries", "publishWithin",
}

// patched puts given fields in the place of a draft's.
func patched(d events.Draft, change map[string]json.RawMessage) (events.Draft, error) {
	if len(change) == 0 {
		return d, nil
	}
	body, err := json.Marshal(d)
	if err != nil {
		return d, fmt.Errorf("encode a draft: %w", err)
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &fields); err != nil {
		return d, fmt.Errorf("decode a draft: %w", err)
	}
	for name, value := range change {
		switch {
		case !slices.Contains(editable, name):
			const words = "This field of a scheduled post cannot be changed; cancel the post and schedule it anew."
			return d, events.Faultf(events.Invalid, words).At("/"+name, "not_editable", words)
		case string(value) == "null":
			delete(fields, name)
		default:
			fields[name] = value
		}
	}
	if body, err = json.Marshal(fields); err != nil {
		return d, fmt.Errorf("encode a changed draft: %w", err)
	}
	var next events.Draft
	if err := json.Unmarshal(body, &next); err != nil {
		const words = "This value is not of the type that this field takes; /docs shows which."
		var typed *json.UnmarshalTypeError
		errors.As(err, &typed)
		at := ""
		if typed != nil {
			at = "/" + strings.ReplaceAll(strings.TrimPrefix(typed.Field, "Options."), ".", "/")
		}
		return d, events.Faultf(events.Invalid, words).At(at, "wrong_type", words)
	}
	return next, nil
}

// SameContent says whether two drafts say the same at Threads.
func SameContent(a, b events.Draft) (bool, error) {
	a.PublishWithin, b.PublishWithin = 0, 0
	one, err := json.Marshal(a)
	if err != nil {
		return false, fmt.Errorf("encode a draft: %w", err)
	}
	other, err := json.Marshal(b)
	if err != nil {
		return false, fmt.Errorf("encode a draft: %w", err)
	}
	return bytes.Equal(one, other), nil
}
