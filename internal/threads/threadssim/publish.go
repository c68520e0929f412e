package threadssim

import (
	"github.com/omni-write/threads/internal/threads"
)

// publish makes a container a post: the one step with an effect the world sees. Quotas count here and nowhere else.
//
// A container that is not FINISHED or not there yet gets 24/4279009. What the real Threads says to a second publish of
// one container is not known; here it is the same error unless the knob double_publish says otherwise.
func publish(c *call) answer {
	s, id := c.store, c.params.Get("creation_id")
	if id == "" {
		return badParam("creation_id is required")
	}
	k := s.containers[id]
	if k == nil || k.UserID != c.user.ID || k.CarouselItem {
		return mediaNotFound(id)
	}
	if k.seenPublished {
		c.mistake(publishedAgain, "container "+id+" was published although its status had been read as PUBLISHED")
	}
	switch status := k.status(c.at); {
	case status == threads.StatusPublished && c.knobs.DoublePublish == "same_id":
		return success(c.reshared(k, map[string]any{"id": k.mediaID}))
	case status == threads.StatusPublished && c.knobs.DoublePublish == "second_post":
	case status != threads.StatusFinished || !k.visible(c.at):
		return mediaNotFound(id)
	}
	if parent := s.media[k.ReplyTo]; k.ReplyTo != "" && (parent == nil || parent.deleted) {
		return mediaNotFound(k.ReplyTo)
	}
	a := c.goLive(k.spends(), entry{Media: c.mediaOf(k)})
	if a.ok() {
		a.body = c.reshared(k, a.body.(map[string]any))
	}
	return a
}

// spends is the allowance a post of this container counts against.
func (k *container) spends() quota {
	if k.ReplyTo != "" {
		return replies
	}
	return posts
}

func (c *call) mediaOf(k *container) *media {
	return &media{ID: nextID(firstMedia, &c.store.ids.media), Container: k.ID, Shortcode: newShortcode()}
}

// goLive is the end of every call that makes a post: its quota, the suspicion of spam, and the commit, one atomic step.
func (c *call) goLive(spends quota, e entry) answer {
	if c.full(spends) {
		return c.quotaFull()
	}
	blocked := c.at.Before(c.knobs.SpamBlock.Until)
	if blocked && !chance(c.rng, c.knobs.SpamBlock.Live) {
		return actionBlocked()
	}
	m, k := e.Media, c.knobs
	m.Arrived, m.Committed = c.at, c.store.now()
	if !k.ListLag.zero() {
		m.Listed = m.Committed.Add(k.ListLag.draw(c.rng))
	}
	if !k.PermalinkLag.zero() {
		m.Linked = m.Committed.Add(k.PermalinkLag.draw(c.rng))
	}
	m.Withheld = chance(c.rng, k.PermalinkWithheld)
	if err := c.store.commit(e); err != nil {
		return unwell()
	}
	if blocked {
		a := actionBlocked()
		c.hit.after = &a
	}
	return success(map[string]any{"id": m.ID})
}

// reshared tells how the Story at Instagram went. The post is live either way.
func (c *call) reshared(k *container, body map[string]any) map[string]any {
	if k.CrossReshare || k.CrossDark {
		body["crossreshare_to_ig_status"] = "SUCCESS"
		if chance(c.rng, c.knobs.CrossReshareError) {
			body["crossreshare_to_ig_status"] = "FAILED"
		}
	}
	return body
}

// remove deletes a post of the caller. A second time the post is unknown. Deleting gives no publish quota back.
func remove(c *call) answer {
	m := c.own(c.path)
	switch {
	case m == nil:
		return noSuchObject(c.path)
	case !c.token.has(threads.ScopeDelete):
		return noPermission()
	case c.full(deletes):
		return c.quotaFull()
	}
	if err := c.store.commit(entry{Delete: &deletion{MediaID: m.ID, At: c.at}}); err != nil {
		return unwell()
	}
	return success(map[string]any{"success": true, "deleted_id": m.ID})
}

// own finds a living post of the caller.
func (c *call) own(id string) *media {
	if m := c.store.media[id]; m != nil && m.owner == c.user && !m.deleted {
		return m
	}
	return nil
}
