package threads

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The limits of one container. Lengths are in characters (Unicode code points).
//
// https://developers.facebook.com/documentation/threads/reference/publishing (updated 2026-04-20)
const (
	MaxAltText        = 1000
	MaxTopicTag       = 50
	MaxTextAttachment = 10_000
	MaxSpoilers       = 10
	MinPollOptions    = 2
	MaxPollOptions    = 4
	MaxPollOption     = 25
	MinChildren       = 2
	MaxChildren       = 20
)

// Codes of the problems that Check finds, besides those of CheckText and CheckMediaURL.
const (
	MediaTypeUnknown      = "media_type_unknown"
	TextMissing           = "text_missing"
	ChildrenCount         = "children_count"
	NotForThisType        = "not_for_this_type" // the parameter does not go with the post's media type
	NotTogether           = "not_together"      // two parameters exclude each other
	AltTextTooLong        = "alt_text_too_long"
	TopicTagInvalid       = "topic_tag_invalid"
	ReplyControlUnknown   = "reply_control_unknown"
	PollInvalid           = "poll_invalid"
	GIFInvalid            = "gif_invalid"
	TextAttachmentInvalid = "text_attachment_invalid"
	TooManySpoilers       = "too_many_spoilers"
	RangeInvalid          = "range_invalid"
	CountryInvalid        = "country_invalid"
	LinkInvalid           = "link_invalid"
	LocationInvalid       = "location_invalid"
	OfTheCarousel         = "of_the_carousel" // the parameter goes to the carousel, not to one of its items
)

// ReplyControls are the words of who may reply; the first is the default.
var ReplyControls = []string{"everyone", "accounts_you_follow", "mentioned_only", "parent_post_author_only", "followers_only"}

// TextStyles are the looks a stretch of a text attachment can have.
var TextStyles = []string{"bold", "italic", "highlight", "underline", "strikethrough"}

// Check finds everything that Threads would refuse, or silently ignore, in a container by itself: what needs no look at
// other containers, posts or the account. It is the one rule set: the product holds its authors to it when a post is
// accepted, and the simulator its callers.
//
// https://developers.facebook.com/documentation/threads/posts
func (k Container) Check() []Problem {
	c := &checker{k: k}
	for _, rule := range []func(){
		c.kind, c.ofOtherKinds, c.item, c.words, c.links, c.altText, c.topicTag, c.replyControl, c.poll, c.gif, c.textAttachment,
		c.spoilers, c.ghost, c.countries, c.location,
	} {
		rule()
	}
	return c.found
}

type checker struct {
	k     Container
	found []Problem
}

func (c *checker) wrong(field, code, format string, args ...any) {
	c.found = append(c.found, Problem{Field: field, Code: code, Detail: fmt.Sprintf(format, args...)})
}

// text says whether the container is a post of text alone.
func (c *checker) text() bool { return c.k.MediaType == Text }

// onlyText refuses what goes with posts of text alone.
func (c *checker) onlyText(field, what string) bool {
	if c.text() {
		return true
	}
	c.wrong(field, NotForThisType, "%s only with a post of text, without pictures or videos. Please remove one of the two.", what)
	return false
}

func (c *checker) kind() {
	k := c.k
	switch k.MediaType {
	case Text:
		alone := k.LinkAttachment == "" && k.TextAttachment == nil && k.GIF == nil && len(k.PollOptions) == 0
		if alone && isBlank(k.Text) {
			c.wrong("text", TextMissing, "A post needs a text, or a picture or a video.")
		}
	case Image, Video:
		field, address := "image_url", k.ImageURL
		if k.MediaType == Video {
			field, address = "video_url", k.VideoURL
		}
		if p := CheckMediaURL(address); p != nil {
			c.wrong(field, p.Code, "%s", p.Detail)
		}
	case Carousel:
		if p := CheckChildren(len(k.Children)); p != nil {
			c.found = append(c.found, *p)
		}
	default:
		c.wrong("media_type", MediaTypeUnknown, "A post is a text, an image, a video or a carousel of images and videos.")
	}
}

// ofOtherKinds refuses what Threads would not look at in a post of this kind.
func (c *checker) ofOtherKinds() {
	k := c.k
	if k.ImageURL != "" && k.MediaType != Image {
		c.wrong("image_url", NotForThisType, "Only a post of one image takes the address of an image.")
	}
	if k.VideoURL != "" && k.MediaType != Video {
		c.wrong("video_url", NotForThisType, "Only a post of one video takes the address of a video.")
	}
}

// item refuses what an item of a carousel would carry in vain. A text of its own is allowed, says the guide, and not what
// becomes of it; so this package gives it none.
func (c *checker) item() {
	k := c.k
	if !k.IsCarouselItem {
		return
	}
	if k.MediaType != Image && k.MediaType != Video {
		c.wrong("is_carousel_item", NotForThisType, "A carousel holds images and videos.")
	}
	for _, of := range carouselParams {
		if of.set(k) {
			c.wrong(of.name, OfTheCarousel, "This goes to the carousel as a whole, not to one of its images and videos.")
		}
	}
}

// carouselParams are the parameters that Threads ignores on an item: they go to the carousel.
var carouselParams = []struct {
	name string
	set  func(k Container) bool
}{
	{"reply_to_id", func(k Container) bool { return k.ReplyToID != "" }},
	{"quote_post_id", func(k Container) bool { return k.QuotePostID != "" }},
	{"reply_control", func(k Container) bool { return k.ReplyControl != "" }},
	{"topic_tag", func(k Container) bool { return k.TopicTag != "" }},
	{"is_spoiler_media", func(k Container) bool { return k.SpoilerMedia }},
	{"enable_reply_approvals", func(k Container) bool { return k.ReplyApprovals }},
	{"location_id", func(k Container) bool { return k.LocationID != "" }},
	{"allowlisted_country_codes", func(k Container) bool { return len(k.Countries) > 0 }},
	{"crossreshare_to_ig", func(k Container) bool { return k.ShareToInstagram }},
	{"crossreshare_to_ig_dark_mode", func(k Container) bool { return k.ShareToInstagramDark }},
}

// CarouselParams are the parameters that Threads takes of a carousel and ignores on its items. An author is told of them.
func CarouselParams() (names []string) {
	for _, of := range carouselParams {
		names = append(names, of.name)
	}
	return names
}

// CheckChildren judges the number of a carousel's items; nil means nothing is wrong.
func CheckChildren(n int) *Problem {
	if n >= MinChildren && n <= MaxChildren {
		return nil
	}
	return &Problem{"children", ChildrenCount, fmt.Sprintf("A carousel holds %d to %d images and videos; this one has %d.", MinChildren, MaxChildren, n)}
}

func (c *checker) words() {
	for _, p := range CheckText(c.k.Text) {
		if p.Code != TooManyLinks { // links counts them together with the attachment's
			c.found = append(c.found, p)
		}
	}
}

func (c *checker) links() {
	k := c.k
	field, attached := "link_attachment", k.LinkAttachment
	if k.LinkAttachment != "" && c.onlyText("link_attachment", "A link can be attached") {
		if p := CheckMediaURL(k.LinkAttachment); p != nil {
			c.wrong("link_attachment", LinkInvalid, "The attached link is not a complete web address, such as https://example.com/page.")
		}
	}
	if k.TextAttachment != nil && attached == "" {
		field, attached = "text_attachment.link_attachment_url", k.TextAttachment.LinkURL
	}
	if n := Links(k.Text, attached); n > MaxLinks {
		if Links(k.Text, "") > MaxLinks {
			field = "text"
		}
		c.wrong(field, TooManyLinks, "The post has %d different links, Threads allows %d. Please remove %d.", n, MaxLinks, n-MaxLinks)
	}
}

func (c *checker) altText() {
	if n := utf8.RuneCountInString(c.k.AltText); n > MaxAltText {
		c.wrong("alt_text", AltTextTooLong, "The alternative text has %d characters, Threads allows %d. Please shorten it.", n, MaxAltText)
	}
	if !validText(c.k.AltText) {
		c.wrong("alt_text", TextInvalid, "The alternative text contains characters that are not valid text.")
	}
	if c.k.AltText != "" && c.text() {
		c.wrong("alt_text", NotForThisType, "An alternative text describes a picture or a video, and this post has none.")
	}
}

func (c *checker) topicTag() {
	tag := c.k.TopicTag
	if utf8.RuneCountInString(tag) > MaxTopicTag || strings.ContainsAny(tag, ".&") || !validText(tag) || tag != "" && isBlank(tag) {
		c.wrong("topic_tag", TopicTagInvalid, "A topic has 1 to %d characters, and neither a full stop nor an ampersand.", MaxTopicTag)
	}
}

func (c *checker) replyControl() {
	if c.k.ReplyControl != "" && !slices.Contains(ReplyControls, c.k.ReplyControl) {
		c.wrong("reply_control", ReplyControlUnknown, "Who may reply is one of %s.", strings.Join(ReplyControls, ", "))
	}
}

func (c *checker) poll() {
	options := c.k.PollOptions
	if len(options) == 0 || !c.onlyText("poll_attachment", "A poll goes") {
		return
	}
	if len(options) < MinPollOptions || len(options) > MaxPollOptions {
		c.wrong("poll_attachment", PollInvalid, "A poll has %d to %d answers; this one has %d.", MinPollOptions, MaxPollOptions, len(options))
	}
	for i, option := range options[:min(len(options), MaxPollOptions)] {
		if n := utf8.RuneCountInString(option); isBlank(option) || n > MaxPollOption || !validText(option) {
			c.wrong("poll_attachment."+pollKey(i), PollInvalid, "An answer of a poll has 1 to %d characters; this one has %d.", MaxPollOption, n)
		}
	}
	if isBlank(c.k.Text) {
		c.wrong("text", TextMissing, "The text is the question of the poll; it cannot be empty.")
	}
}

// pollKey is Threads' name of an answer, counted from 0: option_a.
func pollKey(i int) string { return "option_" + "abcd"[i:i+1] }

func (c *checker) gif() {
	gif := c.k.GIF
	if gif == nil || !c.onlyText("gif_attachment", "A GIF goes") {
		return
	}
	if gif.ID == "" || !validText(gif.ID) || !strings.EqualFold(gif.Provider, "GIPHY") {
		c.wrong("gif_attachment", GIFInvalid, "A GIF is named by its id at GIPHY, the only provider that Threads takes.")
	}
	if len(c.k.PollOptions) > 0 {
		c.wrong("gif_attachment", NotTogether, "A post has a GIF or a poll, not both.")
	}
}

func (c *checker) textAttachment() {
	a := c.k.TextAttachment
	if a == nil || !c.onlyText("text_attachment", "A long text can be attached") {
		return
	}
	n := utf8.RuneCountInString(a.Plaintext)
	if n < 1 || n > MaxTextAttachment || !validText(a.Plaintext) {
		c.wrong("text_attachment.plaintext", TextAttachmentInvalid, "An attached text has 1 to %d characters; this one has %d.", MaxTextAttachment, n)
	}
	if a.LinkURL != "" && CheckMediaURL(a.LinkURL) != nil {
		c.wrong("text_attachment.link_attachment_url", TextAttachmentInvalid, "The link of the attached text is not a complete web address.")
	}
	if len(c.k.PollOptions) > 0 {
		c.wrong("text_attachment", NotTogether, "A post has an attached text or a poll, not both.")
	}
	if a.LinkURL != "" && c.k.LinkAttachment != "" {
		c.wrong("text_attachment.link_attachment_url", NotTogether, "A link is attached already; the attached text cannot have another.")
	}
	ranges := make([]TextRange, len(a.Styles))
	for i, st := range a.Styles {
		ranges[i] = st.TextRange
		if len(st.Styles) == 0 || slices.ContainsFunc(st.Styles, func(s string) bool { return !slices.Contains(TextStyles, s) }) {
			c.wrong("text_attachment.text_with_styling_info."+strconv.Itoa(i), TextAttachmentInvalid, "A style is one of %s.", strings.Join(TextStyles, ", "))
		}
	}
	c.ranges("text_attachment.text_with_styling_info", ranges, n)
}

func (c *checker) spoilers() {
	k := c.k
	if len(k.Spoilers) > MaxSpoilers {
		c.wrong("text_entities", TooManySpoilers, "A text hides up to %d stretches; this one hides %d.", MaxSpoilers, len(k.Spoilers))
	}
	c.ranges("text_entities", k.Spoilers, utf8.RuneCountInString(k.Text))
	if k.SpoilerMedia && c.text() {
		c.wrong("is_spoiler_media", NotForThisType, "There is no picture or video to hide in this post.")
	}
}

// ranges wants stretches within n characters, none over another.
func (c *checker) ranges(field string, ranges []TextRange, n int) {
	order := make([]int, len(ranges))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return ranges[a].Offset - ranges[b].Offset })
	end := 0
	for _, i := range order {
		r := ranges[i]
		// Compared by subtraction: an offset and a length near the largest int would overflow their sum.
		if r.Offset < end || r.Length < 1 || r.Offset > n || r.Length > n-r.Offset {
			c.wrong(field+"."+strconv.Itoa(i), RangeInvalid, "Stretches lie within the text, counted in characters from 0, and do not overlap.")
			continue
		}
		end = r.Offset + r.Length
	}
}

func (c *checker) ghost() {
	k := c.k
	if !k.Ghost || !c.onlyText("is_ghost_post", "A ghost post comes") {
		return
	}
	if k.ReplyToID != "" {
		c.wrong("is_ghost_post", NotTogether, "A ghost post cannot be a reply.")
	}
	if k.ReplyApprovals {
		c.wrong("enable_reply_approvals", NotTogether, "Replies to a ghost post cannot wait for approval.")
	}
	var more []string
	for _, with := range []struct {
		what string
		set  bool
	}{
		{"poll", len(k.PollOptions) > 0}, {"GIF", k.GIF != nil}, {"attached text", k.TextAttachment != nil}, {"attached link", k.LinkAttachment != ""},
		{"quote", k.QuotePostID != ""}, {"topic", k.TopicTag != ""}, {"place", k.LocationID != ""}, {"list of countries", len(k.Countries) > 0},
		{"choice of who may reply", k.ReplyControl != ""}, {"Instagram Story", k.ShareToInstagram || k.ShareToInstagramDark},
	} {
		if with.set {
			more = append(more, with.what)
		}
	}
	// https://developers.facebook.com/documentation/threads/create-posts/ghost-posts (updated 2026-07-02)
	if len(more) > 0 {
		c.wrong("is_ghost_post", NotTogether, "A ghost post is a text, with spoilers if you like, and nothing else. Please remove the %s.", strings.Join(more, " and the "))
	}
}

func (c *checker) countries() {
	for i, code := range c.k.Countries {
		if !slices.Contains(countries, code) {
			c.wrong("allowlisted_country_codes."+strconv.Itoa(i), CountryInvalid,
				"A country is named by its two capital letters of ISO 3166-1, such as DE, or GB for the United Kingdom.")
		}
	}
}

func (c *checker) location() {
	if id := c.k.LocationID; id != "" && !isID(id) {
		c.wrong("location_id", LocationInvalid, "A place is named by the number that a search for places gives, not by its name.")
	}
}
