package threadssim

import (
	"slices"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// mediaFieldNames are the readable fields. "status" is none of them, which tells the two kinds of id apart.
var mediaFieldNames = []string{
	"id", "media_product_type", "media_type", "media_url", "thumbnail_url", "permalink", "owner", "username", "text",
	"timestamp", "shortcode", "children", "is_quote_post", "quoted_post", "reposted_post", "alt_text",
	"link_attachment_url", "gif_url", "topic_tag", "poll_attachment", "has_replies", "is_reply", "is_reply_owned_by_me",
	"root_post", "replied_to", "hide_status", "reply_audience", "is_spoiler_media", "text_entities", "text_attachment",
	"ghost_post_status", "ghost_post_expiration_timestamp", "location_id", "location", "allowlisted_country_codes",
	"is_verified", "profile_picture_url", "reply_approval_status",
}

var pollLetters = []string{"a", "b", "c", "d"}

// found are the calls that show what was found rather than what was asked for: they take owner as a field and never tell.
var found = map[string]bool{threads.OpSearch: true, threads.OpProfilePosts: true}

// mediaFields knows the fields of a post, those in braces included.
func mediaFields(name string) (known, bool) {
	switch name {
	case "children", "quoted_post", "reposted_post", "root_post", "replied_to":
		return mediaFields, true
	case "owner":
		return names("id"), true
	case "location":
		return names(spotFields...), true
	case "text_attachment":
		return names("plaintext", "link_attachment_url", "text_with_styling_info"), true
	case "poll_attachment":
		list := []string{"total_votes", "expiration_timestamp"}
		for _, letter := range pollLetters {
			list = append(list, "option_"+letter, "option_"+letter+"_votes_percentage")
		}
		return names(list...), true
	}
	return nil, slices.Contains(mediaFieldNames, name)
}

// stamp is the form of Threads' timestamps, which is not RFC 3339.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05-0700") }

// reader shows posts to the caller.
type reader struct{ *call }

// show answers a post with the fields asked for. What has no value is left out.
func (c reader) show(m *media, asked []field) map[string]any {
	body := map[string]any{"id": m.ID}
	for _, f := range asked {
		if v := c.mediaValue(m, f); v != nil && v != "" {
			body[f.name] = v
		}
	}
	return body
}

// some is a value that is there only under a condition.
func some(there bool, v any) any {
	if !there {
		return nil
	}
	return v
}

func (c reader) mediaValue(m *media, f field) any {
	k := m.of
	reply, mine := k.ReplyTo != "", m.owner == c.user
	switch f.name {
	case "media_product_type":
		return "THREADS"
	case "media_type":
		return readType(k.MediaType)
	case "media_url":
		return k.MediaURL
	case "thumbnail_url":
		return some(k.MediaType == threads.Video, c.api.links.picture(c.host, m.ID))
	case "permalink":
		return some(m.linked(c.at), c.api.links.permalink(c.host, m))
	case "owner":
		return some(mine && !reply && !found[c.op], map[string]any{"id": m.owner.ID})
	case "username":
		return m.owner.Username
	case "text":
		return k.Text
	case "timestamp":
		return stamp(m.Committed)
	case "shortcode":
		return m.Shortcode
	case "children":
		return c.children(m, f)
	case "is_quote_post":
		return k.Quote != ""
	case "quoted_post":
		return c.other(k.Quote, f)
	case "reposted_post":
		return c.other(m.RepostOf, f)
	case "alt_text":
		return k.AltText
	case "link_attachment_url":
		return k.Link
	case "gif_url":
		if k.GIF != nil {
			return "https://media.giphy.com/media/" + k.GIF.ID + "/giphy.gif"
		}
	case "topic_tag":
		return k.tag()
	case "poll_attachment":
		return c.poll(m, f)
	case "text_attachment":
		return textAttachment(k.TextAttachment, f)
	case "text_entities":
		return spoilers(k.Spoilers)
	case "is_spoiler_media":
		return some(k.MediaType != threads.Text && m.RepostOf == "", k.SpoilerMedia)
	case "location_id":
		return k.Location
	case "location":
		if p := placeOf(k.Location); p != nil {
			return choose(p.values(), f.sub)
		}
	case "allowlisted_country_codes":
		return some(len(k.Countries) > 0, slices.Clone(k.Countries))
	case "ghost_post_expiration_timestamp":
		return some(k.Ghost, stamp(m.ghostEnds()))
	case "ghost_post_status":
		return ghostStatus(m, c.at)
	}
	return c.replyValue(m, f)
}

// replyValue are the fields about conversations.
func (c reader) replyValue(m *media, f field) any {
	k := m.of
	reply := k.ReplyTo != ""
	switch f.name {
	case "has_replies":
		return slices.ContainsFunc(m.answers, c.store.public)
	case "is_reply":
		return reply
	case "is_reply_owned_by_me":
		return some(reply, m.owner == c.user)
	case "root_post":
		return some(reply, c.other(m.root.ID, f))
	case "replied_to":
		return c.other(k.ReplyTo, f)
	case "hide_status":
		return some(reply, c.store.hideStatus(m))
	case "reply_audience":
		audience := k.ReplyControl
		if audience == "" {
			audience = "everyone"
		}
		return some(c.token.has(threads.ScopeReadReplies), strings.ToUpper(audience))
	case "reply_approval_status":
		return some(m.approval.waits(), string(m.approval))
	case "is_verified":
		return some(c.introduces(m), m.owner.Verified)
	case "profile_picture_url":
		return some(c.introduces(m), c.api.links.picture(c.host, m.owner.Username))
	}
	return nil
}

// introduces says whether a post comes with word of its author: direct replies and mentions do.
func (c reader) introduces(m *media) bool {
	direct := m.of.ReplyTo != "" && c.store.top(m) == m
	return direct || (m.owner != c.user && slices.Contains(mentionsIn(m.of.Text), c.user.Username))
}

// readType maps what is written to what is read.
func readType(written string) string {
	if read := readTypes[written]; read != "" {
		return read
	}
	return written
}

// other is a post that this one points at: its id, and more of it when it is there to be seen.
func (c reader) other(id string, f field) any {
	if id == "" {
		return nil
	}
	m := c.store.media[id]
	if m == nil || !c.sees(m) {
		return map[string]any{"id": id}
	}
	return c.show(m, f.sub)
}

// childrenNames are the knob carousel_children.
var childrenNames = []string{"containers", "posts"}

// children of a carousel go by the ids of their containers, as some observers found, or by ids of their own.
func (c reader) children(m *media, f field) any {
	if len(m.of.Children) == 0 {
		return nil
	}
	list := make([]any, 0, len(m.of.Children))
	for _, id := range m.of.Children {
		name := id
		if c.knobs.CarouselChildren == "posts" {
			name = "1" + id // beyond every id that is given out
		}
		child := &media{ID: name, Shortcode: m.Shortcode, Committed: m.Committed, Withheld: true}
		child.owner, child.of, child.root = m.owner, c.store.containers[id], child
		list = append(list, c.show(child, f.sub))
	}
	return map[string]any{"data": list}
}

// pollLife is how long a poll takes votes.
const pollLife = 24 * time.Hour

// poll answers the options only, unless more is asked for in braces. The votes are made up: they come in while the poll
// is open, and an option keeps its share.
func (c reader) poll(m *media, f field) any {
	options := m.of.Poll
	if len(options) == 0 {
		return nil
	}
	values := map[string]any{"expiration_timestamp": stamp(m.Committed.Add(pollLife)), "total_votes": c.figures().votes(m)}
	for i, percent := range c.figures().pollShares(m) {
		values["option_"+pollLetters[i]] = options[i]
		values["option_"+pollLetters[i]+"_votes_percentage"] = percent
	}
	asked := f.sub
	if len(asked) == 0 {
		for _, letter := range pollLetters {
			asked = append(asked, field{name: "option_" + letter})
		}
	}
	return choose(values, asked)
}

func (f figures) votes(m *media) int {
	return grown(m.ID, "votes", 240, earlier(f.at, m.Committed.Add(pollLife)).Sub(m.Committed))
}

// pollShares are the percentages of the options, a hundred in all once there are votes.
func (f figures) pollShares(m *media) []int {
	options := m.of.Poll
	list := make([]int, len(options))
	if len(options) == 0 || f.votes(m) == 0 {
		return list
	}
	weight := func(i int) int { return 1 + share(m.ID, "option"+pollLetters[i], 10) }
	total, left := 0, 100
	for i := range options {
		total += weight(i)
	}
	for i := range options[1:] {
		list[i] = weight(i) * 100 / total
		left -= list[i]
	}
	list[len(list)-1] = left
	return list
}

func textAttachment(t *threads.TextAttachment, f field) any {
	if t == nil {
		return nil
	}
	values := map[string]any{"plaintext": t.Plaintext, "link_attachment_url": t.LinkURL}
	if len(t.Styles) > 0 {
		styles := make([]any, len(t.Styles))
		for i, r := range t.Styles {
			styles[i] = map[string]any{"offset": r.Offset, "length": r.Length, "styling_info": r.Styles}
		}
		values["text_with_styling_info"] = styles
	}
	asked := f.sub
	if len(asked) == 0 {
		asked = []field{{name: "plaintext"}, {name: "link_attachment_url"}, {name: "text_with_styling_info"}}
	}
	return choose(values, asked)
}

// spoilers come wrapped, though they are written as a plain list.
func spoilers(ranges []threads.TextRange) any {
	if len(ranges) == 0 {
		return nil
	}
	list := make([]any, len(ranges))
	for i, r := range ranges {
		list[i] = map[string]any{"entity_type": "SPOILER", "offset": r.Offset, "length": r.Length}
	}
	return map[string]any{"data": list}
}

// ghostLife is how long a ghost post is shown.
const ghostLife = 24 * time.Hour

func (m *media) ghostEnds() time.Time { return m.Committed.Add(ghostLife) }

func ghostStatus(m *media, now time.Time) any {
	switch {
	case !m.of.Ghost:
		return nil
	case now.Before(m.ghostEnds()):
		return "ACTIVE"
	}
	return "ARCHIVED"
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
