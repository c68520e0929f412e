package threadssim

import "time"

// discoverable is how many followers a public profile needs to be looked up.
const discoverable = 100

var discoveryFields = []string{
	"username", "name", "profile_picture_url", "biography", "is_verified", "follower_count", "likes_count", "quotes_count",
	"replies_count", "reposts_count", "views_count",
}

// discovered finds the profile asked for, and counts the look.
func (c *call) discovered() (*user, answer, bool) {
	name := c.params.Get("username")
	if name == "" {
		return nil, badParam("username is required"), false
	}
	if c.full(profileLookups) {
		return nil, c.quotaFull(), false
	}
	if a, ok := c.spends(profileLookups, ""); !ok {
		return nil, a, false
	}
	u := c.store.byName[account(name)]
	if u == nil || u.private() || u.followers(c.at) < discoverable {
		return nil, badParam("username must be that of a public profile with at least 100 followers"), false
	}
	return u, answer{}, true
}

// profileLookup answers a flat object, not a list. Its counts are those of the last seven days.
func profileLookup(c *call) answer {
	asked, a, ok := c.selection(names(discoveryFields...), discoveryFields...)
	if !ok {
		return a
	}
	u, a, ok := c.discovered()
	if !ok {
		return a
	}
	week := c.at.Add(-7 * 24 * time.Hour)
	values := map[string]any{
		"username": u.Username, "name": u.displayName(), "biography": u.biography(), "is_verified": u.Verified,
		"profile_picture_url": c.api.links.picture(c.host, u.Username), "follower_count": u.followers(c.at),
	}
	for _, metric := range []string{"likes", "quotes", "replies", "reposts", "views"} {
		values[metric+"_count"] = c.figures().earned(u, metric, week, c.at)
	}
	return success(choose(values, asked))
}

// profilePosts answers the top-level posts of a profile.
func profilePosts(c *call) answer {
	p, err := readListParams(c.params, c.at)
	if err != nil {
		return badParam(err.Error())
	}
	if _, a, ok := c.selection(mediaFields, "id"); !ok {
		return a
	}
	u, a, ok := c.discovered()
	if !ok {
		return a
	}
	return listing{c}.page(p, listing{c}.among(u.posts, p, func(m *media) bool { return isPost(m) && c.store.public(m) }), mediaFields)
}
