package console

import (
	"cmp"
	"strconv"

	"github.com/omni-write/threads/events"
)

// body is the draft as the API takes it. For an edit, what is empty takes away what was there.
func (d draft) body(edit bool) map[string]any {
	in := map[string]any{}
	type part struct {
		Text  string         `json:"text"`
		Media []events.Media `json:"media,omitempty"`
	}
	texts := partsOf(d.Text)
	first, hidden := hiding(texts[0])
	if len(texts) > 1 {
		var parts []part
		for i, typed := range texts {
			text, _ := hiding(typed)
			parts = append(parts, part{text, d.mediaOf(i)})
		}
		in["parts"] = parts
	} else {
		in["text"] = first
		if media := d.mediaOf(0); len(media) > 0 || edit {
			in["media"] = media
		}
	}
	set := func(name string, value any, there bool) {
		switch {
		case there:
			in[name] = value
		case edit:
			in[name] = nil
		}
	}
	set("spoilers", hidden, len(hidden) > 0)
	set("topicTag", d.Topic, d.Topic != "")
	set("replyControl", d.ReplyControl, d.ReplyControl != "")
	set("linkAttachment", d.Link, d.Link != "")
	set("location", d.Location, d.Location != "")
	set("poll", d.Poll, len(d.Poll) > 0)
	set("spoilerMedia", true, d.SpoilerMedia)
	set("ghost", true, d.Ghost)
	set("replyApprovals", true, d.Approvals)
	if !edit {
		for name, value := range map[string]string{"accountId": d.Account, "replyTo": d.ReplyTo, "quotePostId": d.Quote} {
			if value != "" {
				in[name] = value
			}
		}
	}
	if !d.Now {
		d.when(in)
	}
	return in
}

// when adds the time: on the clocks of a zone, which the API knows how to read where they change.
func (d draft) when(in map[string]any) {
	at := d.Date + "T" + d.Time
	if d.Date == "" || d.Time == "" {
		at = ""
	}
	in["scheduledAt"], in["timeZone"] = at, cmp.Or(d.Zone, "UTC")
	if fold, err := strconv.Atoi(d.Fold); err == nil {
		in["fold"] = fold
	}
}
