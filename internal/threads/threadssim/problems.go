package threadssim

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/omni-write/threads/internal/threads"
)

// problems finds what Threads would refuse in a container by itself.
func problems(k threads.Container) (found []threads.Problem) {
	text, photo := k.MediaType == threads.Text, k.MediaType == threads.Image || k.MediaType == threads.Video
	wrong := func(field, detail string) {
		found = append(found, threads.Problem{Field: field, Code: field + "_invalid", Detail: detail})
	}
	long := func(s string, least, most int) bool {
		n := utf8.RuneCountInString(s)
		return n < least || n > most
	}

	switch {
	case !text && !photo && k.MediaType != threads.Carousel:
		wrong("media_type", "it must be one of TEXT, IMAGE, VIDEO, CAROUSEL")
	case photo && threads.CheckMediaURL(k.ImageURL+k.VideoURL) != nil:
		wrong(strings.ToLower(k.MediaType)+"_url", "it is no web address")
	case text && k.Text == "" && k.LinkAttachment == "" && k.TextAttachment == nil && k.GIF == nil:
		wrong("text", "a text post needs one")
	}
	if k.IsCarouselItem && !photo {
		wrong("is_carousel_item", "it is for images and videos")
	}
	found = append(found, threads.CheckText(k.Text)...)
	link := k.LinkAttachment
	if k.TextAttachment != nil && link == "" {
		link = k.TextAttachment.LinkURL
	}
	if threads.Links(k.Text, link) > threads.MaxLinks {
		found = append(found, threads.Problem{Field: "link_attachment", Code: threads.TooManyLinks})
	}
	if k.LinkAttachment != "" && (!text || threads.CheckMediaURL(k.LinkAttachment) != nil) {
		wrong("link_attachment", "it must be a web address beside a text")
	}
	if long(k.AltText, 0, 1000) {
		wrong("alt_text", "it must be at most 1000 characters long")
	}
	if long(k.TopicTag, 0, 50) || strings.ContainsAny(k.TopicTag, ".&") {
		wrong("topic_tag", "it must be 1 to 50 characters without . and &")
	}
	if !slices.Contains(replyControls, k.ReplyControl) {
		wrong("reply_control", "it is an unknown word")
	}
	if len(k.PollOptions) > 0 && (!text || slices.ContainsFunc(k.PollOptions, func(option string) bool { return long(option, 1, 25) })) {
		wrong("poll_attachment", "polls are for texts, options of 1 to 25 characters")
	}
	if k.GIF != nil && (!text || k.GIF.ID == "" || !strings.EqualFold(k.GIF.Provider, "GIPHY")) {
		wrong("gif_attachment", "GIFs are for texts and come from GIPHY")
	}
	if long := k.TextAttachment; long != nil && (!text || len(k.PollOptions) > 0 || !sound(long) ||
		(k.LinkAttachment != "" && long.LinkURL != "")) {
		wrong("text_attachment", "it is for texts without a poll, 1 to 10000 characters, styles apart, one link")
	}
	if len(k.Spoilers) > 10 {
		wrong("text_entities", "there may be at most 10")
	}
	if k.SpoilerMedia && text {
		wrong("is_spoiler_media", "there is no media")
	}
	if k.Ghost && (!text || k.ReplyToID != "" || k.ReplyApprovals) {
		wrong("is_ghost_post", "ghosts are texts, no replies, and without approvals")
	}
	if slices.ContainsFunc(k.Countries, func(code string) bool { return !countryShape.MatchString(code) }) {
		wrong("allowlisted_country_codes", "countries have two letters")
	}
	return found
}

var countryShape = regexp.MustCompile(`^[A-Z]{2}$`)

var replyControls = []string{
	"", "everyone", "accounts_you_follow", "mentioned_only", "parent_post_author_only", "followers_only",
}

var styles = []string{"bold", "italic", "highlight", "underline", "strikethrough"}

// sound looks at a long text and its styles, whose stretches must not overlap.
func sound(t *threads.TextAttachment) bool {
	n := utf8.RuneCountInString(t.Plaintext)
	if n < 1 || n > 10000 || (t.LinkURL != "" && threads.CheckMediaURL(t.LinkURL) != nil) {
		return false
	}
	ranges := slices.Clone(t.Styles)
	slices.SortFunc(ranges, func(a, b threads.StyledRange) int { return a.Offset - b.Offset })
	end := 0
	for _, r := range ranges {
		if r.Offset < end || r.Length < 1 || r.Offset+r.Length > n {
			return false
		}
		if slices.ContainsFunc(r.Styles, func(s string) bool { return !slices.Contains(styles, s) }) {
			return false
		}
		end = r.Offset + r.Length
	}
	return true
}
