package threadssim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/omni-write/threads/internal/threads"
)

var replyControls = []string{
	"", "everyone", "accounts_you_follow", "mentioned_only", "parent_post_author_only", "followers_only",
}

// Scopes that allow replying in conversations begun by others.
const (
	scopeKeywordSearch  = "threads_keyword_search"
	scopeManageMentions = "threads_manage_mentions"
)

// create makes a container. Refusals have no effect; neither have containers, until they are published.
func create(c *call) answer {
	k := containerFrom(c.params)
	for _, check := range []func(*container) (answer, bool){c.checkKind, c.checkText, c.checkExtras, c.checkRefers, c.checkChildren} {
		if a, ok := check(k); !ok {
			return a
		}
	}
	if c.unfetched && k.MediaType == threads.Image {
		return flagged(refuse(http.StatusBadRequest, oauthException, 1, 2207052, "The media could not be fetched from this URI"),
			false, "Media download has failed.", "")
	}
	if c.unfetched {
		k.Failure = "FAILED_DOWNLOADING_VIDEO"
	}
	c.schedule(k)
	if err := c.sim.commit(entry{Container: k}); err != nil {
		return unwell()
	}
	return success(map[string]any{"id": k.ID})
}

func containerFrom(p url.Values) *container {
	flag := func(name string) bool { return strings.EqualFold(p.Get(name), "true") || p.Get(name) == "1" }
	k := &container{
		MediaType:    strings.ToUpper(p.Get("media_type")),
		Text:         p.Get("text"),
		AltText:      p.Get("alt_text"),
		CarouselItem: flag("is_carousel_item"),
		ReplyTo:      p.Get("reply_to_id"),
		Quote:        p.Get("quote_post_id"),
		ReplyControl: strings.ToLower(p.Get("reply_control")),
		TopicTag:     p.Get("topic_tag"),
		Link:         p.Get("link_attachment"),
		Ghost:        flag("is_ghost_post"),
	}
	for child := range strings.SplitSeq(strings.Trim(p.Get("children"), "[] "), ",") {
		if child = strings.Trim(child, `" `); child != "" {
			k.Children = append(k.Children, child)
		}
	}
	switch k.MediaType {
	case threads.Image:
		k.MediaURL = p.Get("image_url")
	case threads.Video:
		k.MediaURL = p.Get("video_url")
	}
	return k
}

// schedule gives the container its id and the moment its processing ends.
func (c *call) schedule(k *container) {
	k.ID, k.UserID, k.Created = nextID(firstContainer, &c.sim.ids.containers), c.user.ID, c.at
	takes := c.sim.opts.Processing.Text
	switch k.MediaType {
	case threads.Image:
		takes = c.sim.opts.Processing.Image
	case threads.Video:
		takes = c.sim.opts.Processing.Video
	}
	if c.hit.processing != nil {
		takes, k.Failure = *c.hit.processing, c.hit.failure
	}
	k.Ready = c.at.Add(max(takes, 0))
}

func (c *call) checkKind(k *container) (answer, bool) {
	switch k.MediaType {
	case threads.Text:
		if k.Text == "" && k.Link == "" {
			return badParam("text is required for a text post"), false
		}
	case threads.Image, threads.Video:
		if threads.CheckMediaURL(k.MediaURL) != nil {
			return badParam(strings.ToLower(k.MediaType) + "_url is not a valid URI."), false
		}
	case threads.Carousel:
	default:
		return badParam("media_type must be one of {TEXT, IMAGE, VIDEO, CAROUSEL}"), false
	}
	if k.CarouselItem && k.MediaType != threads.Image && k.MediaType != threads.Video {
		return badParam("is_carousel_item is for images and videos"), false
	}
	return answer{}, true
}

// checkText counts as Meta documents it. Some observers saw plain UTF-8 bytes counted; nobody knows.
func (c *call) checkText(k *container) (answer, bool) {
	if !utf8.ValidString(k.Text) || strings.ContainsRune(k.Text, 0) {
		return badParam("text must be valid UTF-8"), false
	}
	if threads.Count(k.Text) > threads.MaxText {
		return badParam("text must be at most 500 characters long."), false
	}
	if threads.Links(k.Text, k.Link) > threads.MaxLinks {
		// Where the name stands on the wire is not documented.
		return refuse(http.StatusBadRequest, thAPIException, 100, 0,
			"THREADS_API__LINK_LIMIT_EXCEEDED: a post can have at most 5 links"), false
	}
	return answer{}, true
}

func (c *call) checkExtras(k *container) (answer, bool) {
	text := k.MediaType == threads.Text
	switch {
	case k.Link != "" && (!text || threads.CheckMediaURL(k.Link) != nil):
		return flagged(refuse(http.StatusBadRequest, oauthException, -1, 4279047, "Fatal"),
			false, "Invalid link attachment", ""), false
	case utf8.RuneCountInString(k.AltText) > 1000:
		return badParam("alt_text must be at most 1000 characters long."), false
	case utf8.RuneCountInString(k.TopicTag) > 50 || strings.ContainsAny(k.TopicTag, ".&"):
		return badParam("topic_tag must be 1 to 50 characters without . and &"), false
	case !slices.Contains(replyControls, k.ReplyControl):
		return badParam("reply_control is not valid"), false
	case k.Ghost && (!text || k.ReplyTo != ""):
		return badParam("is_ghost_post is for text posts that are no replies"), false
	}
	return answer{}, true
}

// checkRefers looks for the posts that are replied to and quoted. The owner of the conversation's first post may reply
// to all of it, others need a scope.
func (c *call) checkRefers(k *container) (answer, bool) {
	if k.ReplyTo != "" {
		parent := c.sim.media[k.ReplyTo]
		if parent == nil || parent.deleted {
			return mediaNotFound(k.ReplyTo), false
		}
		if parent.root.owner != c.user && !c.token.has(scopeKeywordSearch) && !c.token.has(scopeManageMentions) {
			return noPermission(), false
		}
	}
	if k.Quote != "" {
		if quoted := c.sim.media[k.Quote]; quoted == nil || quoted.deleted {
			return mediaNotFound(k.Quote), false
		}
	}
	return answer{}, true
}

// checkChildren wants every child marked as one, the caller's own, and processed.
func (c *call) checkChildren(k *container) (answer, bool) {
	if k.MediaType != threads.Carousel {
		return answer{}, true
	}
	invalid := flagged(refuse(http.StatusBadRequest, oauthException, 100, 4279004, "Invalid parameter"),
		false, "Invalid Carousel Children", "")
	if len(k.Children) < 2 || len(k.Children) > 20 {
		return invalid, false
	}
	for _, id := range k.Children {
		child := c.sim.containers[id]
		if child == nil || child.UserID != c.user.ID || !child.CarouselItem || child.status(c.at) != threads.StatusFinished {
			return invalid, false
		}
	}
	return answer{}, true
}

// unfetchable tries to fetch the media of a creation, as Threads does once. It runs before the lock is taken.
func (s *Sim) unfetchable(r *http.Request, c *call) bool {
	k := containerFrom(c.params)
	if k.MediaURL == "" || threads.CheckMediaURL(k.MediaURL) != nil {
		return false // refused further on
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, k.MediaURL, nil)
	if err != nil {
		return true
	}
	resp, err := s.fetcher.Do(req)
	if err != nil {
		return true
	}
	_ = resp.Body.Close()
	want := strings.ToLower(k.MediaType) + "/"
	return resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), want)
}

// visible says whether a fresh container has reached the half of Threads that publishes.
func (s *Sim) visible(k *container, now time.Time) bool {
	return !now.Before(k.Created.Add(s.opts.VisibilityDelay))
}
