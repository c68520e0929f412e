package threadssim

import (
	"cmp"
	"slices"
	"strings"

	"github.com/omni-write/threads/internal/threads"
)

// sensitive words find nothing at Threads. Its list is not known; these stand in for it.
var sensitive = []string{"nsfw", "gore", "sensitive"}

// search finds public posts by a word in their text or by their topic. A search that finds nothing is free.
func search(c *call) answer {
	p, err := readListParams(c.params, c.at)
	if err != nil {
		return badParam(err.Error())
	}
	query := strings.ToLower(strings.TrimSpace(c.params.Get("q")))
	choices := map[string]string{}
	for name, may := range map[string][]string{
		"search_type": {"TOP", "RECENT"}, "search_mode": {"KEYWORD", "TAG"}, "media_type": {"", "TEXT", "IMAGE", "VIDEO"},
	} {
		v := strings.ToUpper(c.params.Get(name))
		if v == "" {
			v = may[0]
		}
		if !slices.Contains(may, v) {
			return badParam(name + " must be one of {" + strings.Trim(strings.Join(may, ", "), ", ") + "}")
		}
		choices[name] = v
	}
	author := c.params.Get("author_username")
	switch {
	case query == "":
		return badParam("q is required")
	case strings.HasPrefix(author, "@"):
		return badParam("author_username must be without @")
	}
	if _, a, ok := c.selection(mediaFields, "id"); !ok {
		return a
	}
	if c.full(keywordSearches) {
		return c.quotaFull()
	}
	found := listing{c}.among(c.store.order, p, func(m *media) bool {
		return c.store.public(m) && m.RepostOf == "" && !m.of.Ghost && !slices.Contains(sensitive, query) &&
			(author == "" || m.owner.Username == strings.ToLower(author)) &&
			(choices["media_type"] == "" || m.of.MediaType == choices["media_type"]) && m.of.speaksOf(query, choices["search_mode"])
	})
	if choices["search_type"] == "TOP" {
		slices.SortStableFunc(found, func(a, b *media) int { return cmp.Compare(c.figures().likes(b), c.figures().likes(a)) })
	}
	if len(found) > 0 {
		if a, ok := c.spends(keywordSearches, query); !ok {
			return a
		}
	}
	return listing{c}.page(p, found, mediaFields)
}

func (k *container) speaksOf(query, mode string) bool {
	if mode == "TAG" {
		return strings.EqualFold(k.tag(), strings.TrimPrefix(query, "#"))
	}
	return strings.Contains(strings.ToLower(k.Text), query) ||
		(k.MediaType != threads.Text && strings.Contains(strings.ToLower(k.AltText), query))
}
