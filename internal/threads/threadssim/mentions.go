package threadssim

import (
	"regexp"
	"slices"
	"strings"
)

var (
	mentionShape = regexp.MustCompile(`(?:^|[^\w@.])@([A-Za-z0-9._]{1,30})`)
	// A tag in the text ends before white space and before any of . & @ ! ? , ; :
	tagShape = regexp.MustCompile(`(?:^|\s)#([^\s.&@!?,;:#]{1,50})`)
)

// mentionsIn are the usernames a text mentions.
func mentionsIn(text string) (list []string) {
	for _, found := range mentionShape.FindAllStringSubmatch(text, -1) {
		if name := strings.ToLower(strings.TrimRight(found[1], ".")); !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// tag is the topic of a post: the one it was given, or else the first in its text that is more than digits.
func (k *container) tag() string {
	if k.TopicTag != "" {
		return k.TopicTag
	}
	for _, found := range tagShape.FindAllStringSubmatch(k.Text, -1) {
		if strings.Trim(found[1], "0123456789") != "" {
			return found[1]
		}
	}
	return ""
}

// mentions lists the posts of public profiles that mention the caller.
func mentions(c *call) answer {
	return listing{c}.list(c.store.order, nil, func(m *media) bool {
		return m.owner != c.user && c.store.public(m) && slices.Contains(mentionsIn(m.of.Text), c.user.Username)
	})
}
