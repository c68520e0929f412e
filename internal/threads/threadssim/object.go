package threadssim

import (
	"cmp"
	"strings"

	"github.com/omni-write/threads/internal/threads"
)

// opOf names the call GET /{id} by what the id is. Posts are the rest, so an unknown id counts as a read of one.
func (s *store) opOf(id string) string {
	switch {
	case id == "me" || s.users[id] != nil:
		return threads.OpMe
	case s.media[id] == nil && s.containers[id] != nil:
		return threads.OpStatus
	case placeOf(id) != nil:
		return opLocation
	}
	return threads.OpMedia
}

// object reads a profile or a container of the caller, a post that the caller can see, or a place.
func object(c *call) answer {
	switch c.op {
	case threads.OpMe:
		if c.path == "me" || c.path == c.user.ID {
			return profile(c)
		}
	case threads.OpStatus:
		if k := c.store.containers[c.path]; k.UserID == c.user.ID {
			return containerStatus(c, k)
		}
	case threads.OpMedia:
		if m := c.visible(c.path); m != nil {
			asked, a, ok := c.selection(mediaFields, "id")
			if !ok {
				return a
			}
			return success(reader{c}.show(m, asked))
		}
	case opLocation:
		return c.location(placeOf(c.path))
	}
	return noSuchObject(c.path)
}

var profileFieldNames = []string{
	"id", "username", "name", "threads_profile_picture_url", "threads_biography", "is_verified",
	"recently_searched_keywords", "is_eligible_for_geo_gating",
}

func profile(c *call) answer {
	return c.pick(map[string]any{
		"id":                          c.user.ID,
		"username":                    c.user.Username,
		"name":                        c.user.displayName(),
		"threads_biography":           c.user.biography(),
		"is_verified":                 c.user.Verified,
		"threads_profile_picture_url": c.api.links.picture(c.host, c.user.Username),
		"recently_searched_keywords":  c.user.keywords(),
		"is_eligible_for_geo_gating":  c.knobs.GeoGating,
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
	switch values["status"] {
	case threads.StatusError:
		values["error_message"] = k.Failure
	case threads.StatusPublished:
		k.seenPublished = true
	}
	return c.pick(values, containerFieldNames, "id", "status")
}

// addresses are those that the simulator gives out. They begin with what the options say, or else with the host that a call
// came to, which may be a name that a browser elsewhere does not know.
type addresses struct{ permalinks, pictures string }

// permalink is where the post can be looked at; the simulator serves a page there itself.
func (a addresses) permalink(host string, m *media) string {
	return cmp.Or(a.permalinks, host) + "/@" + m.owner.Username + "/post/" + m.Shortcode
}

// picture is an image that the simulator draws itself: of a person, or of a video.
func (a addresses) picture(host, of string) string {
	return cmp.Or(a.pictures, host) + "/_sim/pictures/" + of
}
