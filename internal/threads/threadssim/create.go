package threadssim

import (
	"net/http"

	"github.com/omni-write/threads/internal/threads"
)

// Scopes that this system does not ask for, and that change what a creation may do.
const (
	scopeKeywordSearch    = "threads_keyword_search"
	scopeManageMentions   = "threads_manage_mentions"
	scopeLocationTagging  = "threads_location_tagging"
	scopeShareToInstagram = "threads_share_to_instagram"
)

// creation is a call that makes a container, and the container that it would make.
type creation struct {
	*call
	container *container
}

// create makes a container. Refusals have no effect; neither have containers, until they are published. A text with
// auto_publish_text is a post at once, and its id is the post's.
func create(c *call) answer {
	k, err := containerFrom(c.params)
	if err != nil {
		return badParam(err.Error())
	}
	n := creation{c, k}
	checks := []func() (answer, bool){
		n.checkScopes, n.checkRules, n.checkLink, n.checkCountries, n.checkRefers, n.checkChildren,
	}
	for _, check := range checks {
		if a, ok := check(); !ok {
			return a
		}
	}
	if c.unfetched && k.MediaType == threads.Image {
		return flagged(refuse(http.StatusBadRequest, oauthException, 1, 2207052, "The media could not be fetched from this URI"),
			false, "Media download has failed.", "")
	}
	n.schedule()
	var now bool
	if readFlag(c.params.Get("auto_publish_text"), &now) != nil {
		return badParam("auto_publish_text must be a boolean")
	}
	if now && k.MediaType == threads.Text { // for all else the documentation says only that it does not work
		return n.publishAtOnce()
	}
	if err := c.store.commit(entry{Container: k}); err != nil {
		return unwell()
	}
	return success(map[string]any{"id": k.ID})
}

// publishAtOnce makes container and post in one step. Nobody ever learns the container's id.
func (c creation) publishAtOnce() answer {
	k := c.container
	k.Ready, k.Visible, k.Lost, k.Failure = c.at, c.at, false, ""
	a := c.goLive(k.spends(), entry{Container: k, Media: c.mediaOf(k)})
	if a.ok() {
		a.body = c.reshared(k, a.body.(map[string]any))
	}
	return a
}

// schedule gives the container its id and decides its fate: when its processing ends and how, and when it can be found.
func (c creation) schedule() {
	k := c.container
	k.ID, k.UserID, k.Created = nextID(firstContainer, &c.store.ids.containers), c.user.ID, c.at
	takes := c.knobs.ProcessingTime.of(k.MediaType).draw(c.rng)
	if failure := c.knobs.ProcessingError.of(k.MediaType); chance(c.rng, failure.Probability) {
		if k.Failure = failure.Message; k.Failure == "" {
			k.Failure = "UNKNOWN"
		}
	}
	if c.unfetched {
		k.Failure = "FAILED_DOWNLOADING_VIDEO"
	}
	if c.hit.processing != nil {
		takes, k.Failure = *c.hit.processing, c.hit.failure
	}
	k.Ready = c.at.Add(takes)
	if !c.knobs.VisibilityDelay.zero() {
		k.Visible = c.at.Add(c.knobs.VisibilityDelay.draw(c.rng))
	}
	k.Lost = chance(c.rng, c.knobs.LostContainer)
}

func (c creation) checkScopes() (answer, bool) {
	k := c.container
	if (k.Location != "" && !c.token.has(scopeLocationTagging)) ||
		((k.CrossReshare || k.CrossDark) && !c.token.has(scopeShareToInstagram)) {
		return noPermission(), false
	}
	return answer{}, true
}

// checkLink plays a link that Threads cannot make a card of.
func (c creation) checkLink() (answer, bool) {
	k := c.container
	link := k.Link
	if k.TextAttachment != nil && link == "" {
		link = k.TextAttachment.LinkURL
	}
	if threads.Links(k.Text, link) > 0 && chance(c.rng, c.knobs.LinkError) {
		return invalidLink(), false
	}
	return answer{}, true
}

func invalidLink() answer {
	return flagged(refuse(http.StatusBadRequest, oauthException, -1, 4279047, "Fatal"), false, "Invalid link attachment", "")
}

// named is an error of which the documentation gives only the name. Where it stands on the wire is not known.
func named(name, message string) answer {
	return refuse(http.StatusBadRequest, thAPIException, 100, 0, "THREADS_API__"+name+": "+message)
}

func (c creation) checkCountries() (answer, bool) {
	k := c.container
	if len(k.Countries) > 0 && !c.knobs.GeoGating {
		return named("FEATURE_NOT_AVAILABLE", "geo-gating is not available to this user"), false
	}
	return answer{}, true
}

// checkRefers looks for the posts that are replied to and quoted. The owner of the conversation's first post may reply
// to all of it, others need a scope, and the word of its author on who may reply.
func (c creation) checkRefers() (answer, bool) {
	k := c.container
	if k.ReplyTo != "" {
		parent := c.store.media[k.ReplyTo]
		switch {
		case parent == nil || (!parent.deleted && !c.sees(parent)):
			return badParam("reply_to_id is not a valid threads_media ID"), false
		case parent.deleted:
			return mediaNotFound(k.ReplyTo), false
		case parent.root.owner != c.user && !c.token.has(scopeKeywordSearch) && !c.token.has(scopeManageMentions),
			!c.store.mayReply(c.user, parent, k.Text):
			return noPermission(), false
		}
	}
	if k.Quote != "" {
		if quoted := c.store.media[k.Quote]; quoted == nil || !c.sees(quoted) {
			return mediaNotFound(k.Quote), false
		}
	}
	return answer{}, true
}

func invalidChildren() answer {
	return flagged(refuse(http.StatusBadRequest, oauthException, 100, 4279004, "Invalid parameter"),
		false, "Invalid Carousel Children", "")
}

// checkChildren wants every child marked as one, the caller's own, and processed.
func (c creation) checkChildren() (answer, bool) {
	k := c.container
	if k.MediaType != threads.Carousel {
		return answer{}, true
	}
	invalid := invalidChildren()
	if len(k.Children) < 2 || len(k.Children) > 20 {
		return invalid, false
	}
	for _, id := range k.Children {
		child := c.store.containers[id]
		if child == nil || child.UserID != c.user.ID || !child.CarouselItem || child.status(c.at) != threads.StatusFinished {
			return invalid, false
		}
	}
	return answer{}, true
}
