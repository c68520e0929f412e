package threadssim

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// The widths an embedded post may have.
const (
	minWidth = 320
	maxWidth = 658
)

// oembed answers the HTML that shows a public post on another site. It needs no token.
func oembed(c *call) answer {
	raw := c.params.Get("url")
	if raw == "" {
		return refuse(http.StatusBadRequest, oauthException, 100, 0, "The parameter url is required")
	}
	width := maxWidth
	if given := c.params.Get("maxwidth"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < minWidth || n > maxWidth {
			return badParam(fmt.Sprintf("maxwidth must be between %d and %d", minWidth, maxWidth))
		}
		width = n
	}
	m := c.store.linkedBy(raw)
	if m == nil || !c.store.public(m) || !m.linked(c.at) || len(m.of.Countries) > 0 ||
		(m.of.Ghost && !c.at.Before(m.ghostEnds())) {
		return refuse(http.StatusBadRequest, oauthException, 100, 0, "The url is not that of a post that can be embedded")
	}
	link := html.EscapeString(c.api.links.permalink(c.host, m))
	text := html.EscapeString(m.of.Text)
	return success(map[string]any{
		"type": "rich", "version": "1.0", "provider_name": "Threads", "provider_url": "https://www.threads.com/", "width": width,
		"html": `<blockquote class="text-post-media" data-text-post-permalink="` + link + `" style="max-width:` +
			strconv.Itoa(width) + `px"><p>` + text + `</p><a href="` + link + `">@` + m.owner.Username + `</a></blockquote>`,
	})
}

// linkedBy finds the post of a permalink, whatever its host.
func (s *store) linkedBy(raw string) *media {
	u, err := url.Parse(raw)
	if err != nil {
		return nil
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) != 3 || parts[1] != "post" {
		return nil
	}
	m := s.byShort[parts[2]]
	if m == nil || "@"+m.owner.Username != strings.ToLower(parts[0]) {
		return nil
	}
	return m
}
