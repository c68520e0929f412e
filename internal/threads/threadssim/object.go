package threadssim

import (
	"strings"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// opOf names the call GET /{id} by what the id is. Posts are the rest, so an unknown id counts as a read of one.
func (s *Sim) opOf(id string) string {
	switch {
	case id == "me" || s.users[id] != nil:
		return threads.OpMe
	case s.containers[id] != nil:
		return threads.OpStatus
	}
	return threads.OpMedia
}

// object reads a profile, a container or a post; all of them only of the caller.
func object(c *call) answer {
	switch c.op {
	case threads.OpMe:
		if c.path == "me" || c.path == c.user.ID {
			return profile(c)
		}
	case threads.OpStatus:
		if k := c.sim.containers[c.path]; k.UserID == c.user.ID {
			return containerStatus(c, k)
		}
	case threads.OpMedia:
		if m := c.own(c.path); m != nil {
			return c.pick(c.mediaFields(m), mediaFieldNames, "id")
		}
	}
	return noSuchObject(c.path)
}

var profileFieldNames = []string{
	"id", "username", "name", "threads_profile_picture_url", "threads_biography", "is_verified",
	"recently_searched_keywords", "is_eligible_for_geo_gating",
}

func profile(c *call) answer {
	return c.pick(map[string]any{
		"id":                         c.user.ID,
		"username":                   c.user.Username,
		"name":                       displayName(c.user.Username),
		"threads_biography":          "A simulated person.",
		"is_verified":                false,
		"is_eligible_for_geo_gating": false,
	}, profileFieldNames, "id")
}

// displayName makes "Demo User" of demo.user.
func displayName(username string) string {
	words := strings.FieldsFunc(username, func(r rune) bool { return r == '.' || r == '_' })
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}

var containerFieldNames = []string{"id", "status", "error_message"}

// containerStatus never names the post that came of the container: Threads has no call that does.
func containerStatus(c *call, k *container) answer {
	values := map[string]any{"id": k.ID, "status": k.status(c.at)}
	if values["status"] == threads.StatusError {
		values["error_message"] = k.Failure
	}
	return c.pick(values, containerFieldNames, "id", "status")
}

// mediaFieldNames are the readable fields. "status" is none of them, which tells the two kinds of id apart.
var mediaFieldNames = []string{
	"id", "media_product_type", "media_type", "media_url", "thumbnail_url", "permalink", "owner", "username", "text",
	"timestamp", "shortcode", "children", "is_quote_post", "quoted_post", "reposted_post", "alt_text",
	"link_attachment_url", "gif_url", "topic_tag", "poll_attachment", "has_replies", "is_reply", "is_reply_owned_by_me",
	"root_post", "replied_to", "hide_status", "reply_audience", "is_spoiler_media", "text_entities", "text_attachment",
	"ghost_post_status", "ghost_post_expiration_timestamp", "location_id", "location", "allowlisted_country_codes",
	"is_verified", "profile_picture_url", "reply_approval_status",
}

// stamp is the form of Threads' timestamps, which is not RFC 3339.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05-0700") }

func (c *call) mediaFields(m *media) map[string]any {
	k := m.of
	v := map[string]any{
		"id":                  m.ID,
		"media_product_type":  "THREADS",
		"media_type":          readTypes[k.MediaType],
		"media_url":           k.MediaURL,
		"username":            m.owner.Username,
		"text":                k.Text,
		"timestamp":           stamp(m.Committed),
		"shortcode":           m.Shortcode,
		"is_quote_post":       k.Quote != "",
		"alt_text":            k.AltText,
		"link_attachment_url": k.Link,
		"topic_tag":           k.TopicTag,
		"has_replies":         m.replies > 0,
		"is_reply":            k.ReplyTo != "",
	}
	if !c.at.Before(m.Committed.Add(c.sim.opts.PermalinkLag)) {
		v["permalink"] = c.sim.permalink(c.host, m)
	}
	if len(k.Children) > 0 {
		// Observers found the children of a carousel under the ids of their containers.
		children := make([]map[string]string, len(k.Children))
		for i, id := range k.Children {
			children[i] = map[string]string{"id": id}
		}
		v["children"] = map[string]any{"data": children}
	}
	if k.Quote != "" {
		v["quoted_post"] = map[string]string{"id": k.Quote}
	}
	if k.ReplyTo != "" {
		v["replied_to"] = map[string]string{"id": k.ReplyTo}
		v["root_post"] = map[string]string{"id": m.root.ID}
		v["is_reply_owned_by_me"] = true
	} else {
		v["owner"] = map[string]string{"id": m.owner.ID}
	}
	if c.token.has(threads.ScopeReadReplies) {
		v["reply_audience"] = strings.ToUpper(k.ReplyControl)
	}
	if k.Ghost {
		ends := m.Committed.Add(24 * time.Hour)
		v["ghost_post_status"], v["ghost_post_expiration_timestamp"] = "ACTIVE", stamp(ends)
		if !c.at.Before(ends) {
			v["ghost_post_status"] = "ARCHIVED"
		}
	}
	return v
}

// permalink is where the post can be looked at; the simulator serves a page there itself.
func (s *Sim) permalink(host string, m *media) string {
	if s.opts.PermalinkBase != "" {
		host = strings.TrimRight(s.opts.PermalinkBase, "/")
	}
	return host + "/@" + m.owner.Username + "/post/" + m.Shortcode
}
