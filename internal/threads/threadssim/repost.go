package threadssim

import "github.com/omni-write/threads/internal/threads"

// repostFacade is the media type of a repost, which has nothing of its own but the post it shows.
const repostFacade = "REPOST_FACADE"

// repost shows a post once more, at once: there is no container and no second step. It counts as a post. What a second
// repost of the same post does is not known; here it is one more.
func repost(c *call) answer {
	m := c.visible(c.path)
	if m == nil {
		return noSuchObject(c.path)
	}
	if a, ok := c.needs(threads.ScopeContentPublish); !ok {
		return a
	}
	if m.RepostOf != "" {
		return badParam("id must be the id of a post, not of a repost")
	}
	return c.goLive(posts, entry{Media: &media{
		ID: nextID(firstMedia, &c.store.ids.media), Shortcode: newShortcode(), RepostOf: m.ID, By: c.user.ID,
	}})
}
