package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/services/publisher/draft"
)

// EditPost changes what a post says, or when. It wins or it says that it lost.
func (o *owners) EditPost(ctx context.Context, d bus.Delivery, cmd events.EditPost) (any, error) {
	return o.move(ctx, d, cmd, cmd.UserID, cmd.PostID, cmd.IfRev, stillOpen, func(ctx context.Context, tx bun.Tx, old *posts.Post) (*posts.Post, error) {
		before := old.Draft()
		after, err := edited(before, cmd)
		if err != nil {
			return nil, err
		}
		if fault := o.drafts.Check(after); fault != nil {
			return nil, fault
		}
		if after.Location != before.Location {
			account, err := accounts.Get(ctx, tx, old.AccountID)
			if err != nil {
				return nil, err
			}
			if err := draft.MayPost(account, after); err != nil {
				return nil, err
			}
		}
		next := old.InZone(cmd.TimeZone)
		if cmd.PublishAt != nil {
			if cmd.PublishAt.Before(d.Meta.Time.Add(-draft.PastGrace)) {
				return nil, events.Faultf(events.Invalid, "The new time of this post has passed.").
					At("/scheduledAt", "time_in_past", "The time is more than a minute in the past; choose a later one.")
			}
			next = next.MoveTo(*cmd.PublishAt, cmd.TimeDecision)
		}
		same, err := sameContent(after, before)
		if err != nil {
			return nil, err
		}
		next = next.Edit(o.drafts.WithDefaults(after), same, o.cfg.Timing())
		return next, draft.CheckSize(next)
	})
}

// edited is a draft as a command changes it.
func edited(draft events.Draft, cmd events.EditPost) (events.Draft, error) {
	if draft.RepostOf != "" && (cmd.Text != nil || cmd.Media != nil || cmd.Parts != nil) {
		const words = "A repost has no words or media of its own."
		return draft, events.Faultf(events.Invalid, words).At("/text", "not_of_a_repost", words)
	}
	if cmd.Parts != nil {
		draft.Parts, draft.Text, draft.Media = cmd.Parts, "", nil
	}
	if cmd.Text != nil {
		draft.Text = *cmd.Text
	}
	if cmd.Media != nil {
		draft.Media = *cmd.Media
	}
	return patched(draft, cmd.Change)
}

// editable are the fields of a draft that an edit may change by their names. What a post replies to or quotes is its place,
// and a new place is another post.
var editable = []string{
	"replyControl", "topicTag", "linkAttachment", "poll", "gif", "textAttachment", "spoilers", "spoilerMedia", "ghost",
	"replyApprovals", "location", "countries", "publishWithin",
}

// patched puts given fields in the place of a draft's.
func patched(draft events.Draft, change map[string]json.RawMessage) (events.Draft, error) {
	if len(change) == 0 {
		return draft, nil
	}
	body, err := json.Marshal(draft)
	if err != nil {
		return draft, fmt.Errorf("encode a draft: %w", err)
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &fields); err != nil {
		return draft, fmt.Errorf("decode a draft: %w", err)
	}
	for name, value := range change {
		switch {
		case !slices.Contains(editable, name):
			const words = "This field of a scheduled post cannot be changed."
			return draft, events.Faultf(events.Invalid, words).At("/"+name, "not_editable", words)
		case string(value) == "null":
			delete(fields, name)
		default:
			fields[name] = value
		}
	}
	if body, err = json.Marshal(fields); err != nil {
		return draft, fmt.Errorf("encode a changed draft: %w", err)
	}
	var next events.Draft
	if err := json.Unmarshal(body, &next); err != nil {
		const words = "This field is of another type."
		var typed *json.UnmarshalTypeError
		errors.As(err, &typed)
		at := ""
		if typed != nil {
			at = "/" + strings.ReplaceAll(strings.TrimPrefix(typed.Field, "Options."), ".", "/")
		}
		return draft, events.Faultf(events.Invalid, words).At(at, "wrong_type", words)
	}
	return next, nil
}

// sameContent says whether two drafts say the same at Threads.
func sameContent(a, b events.Draft) (bool, error) {
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
