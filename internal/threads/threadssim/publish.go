package threadssim

import "github.com/omni-write/threads/internal/threads"

// publish makes a container a post: the one step with an effect the world sees. Quotas count here and nowhere else.
//
// A container that is not FINISHED, not there yet, or published before gets 24/4279009. What the real Threads says to a
// second publish of one container is not known; here it is an error and never a second post.
func publish(c *call) answer {
	s, id := c.sim, c.params.Get("creation_id")
	if id == "" {
		return badParam("creation_id is required")
	}
	k := s.containers[id]
	if k == nil || k.UserID != c.user.ID || k.CarouselItem || !s.visible(k, c.at) || k.status(c.at) != threads.StatusFinished {
		return mediaNotFound(id)
	}
	spends := posts
	if k.ReplyTo != "" {
		if parent := s.media[k.ReplyTo]; parent == nil || parent.deleted {
			return mediaNotFound(k.ReplyTo)
		}
		spends = replies
	}
	if c.user.full(spends, c.at) {
		return quotaFull()
	}
	m := &media{
		ID:        nextID(firstMedia, &s.ids.media),
		Container: k.ID,
		Shortcode: newShortcode(),
		Arrived:   c.at,
		Committed: s.now(),
	}
	if err := s.commit(entry{Media: m}); err != nil {
		return unwell()
	}
	return success(map[string]any{"id": m.ID})
}

// remove deletes a post of the caller. A second time the post is unknown. Deleting gives no publish quota back.
func remove(c *call) answer {
	m := c.own(c.path)
	switch {
	case m == nil:
		return noSuchObject(c.path)
	case !c.token.has(threads.ScopeDelete):
		return noPermission()
	case c.user.full(deletes, c.at):
		return quotaFull()
	}
	if err := c.sim.commit(entry{Delete: &deletion{MediaID: m.ID, At: c.at}}); err != nil {
		return unwell()
	}
	return success(map[string]any{"success": true, "deleted_id": m.ID})
}

// own finds a living post of the caller.
func (c *call) own(id string) *media {
	if m := c.sim.media[id]; m != nil && m.owner == c.user && !m.deleted {
		return m
	}
	return nil
}
