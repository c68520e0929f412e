package threadssim

import (
	"slices"

	"github.com/omni-write/threads/internal/threads"
)

// repliesEdge is one address for two lists: what a person replied, and the replies to a post.
func repliesEdge(c *call) answer {
	if c.op != threads.OpRepliesTo {
		if a, ok := c.needs(threads.ScopeReadReplies); !ok {
			return a
		}
		return listing{c}.list(c.user.posts, nil, isReply)
	}
	m, a, ok := c.conversed()
	if !ok {
		return a
	}
	return listing{c}.listReplies(m.answers)
}

// byPath tells the two apart before anything is decided, so that faults find the right call.
func byPath(c *call) (answer, bool) {
	a, ok := authenticate(c)
	if ok && c.path != "me" && c.store.users[c.path] == nil {
		c.op = threads.OpRepliesTo
	} else if ok && c.path != "me" && c.path != c.user.ID {
		return noSuchObject(c.path), false
	}
	return a, ok
}

// conversed finds the post whose replies are asked for.
func (c *call) conversed() (*media, answer, bool) {
	m := c.visible(c.path)
	if m == nil {
		return nil, noSuchObject(c.path), false
	}
	a, ok := c.needs(threads.ScopeReadReplies)
	return m, a, ok
}

// listReplies answers replies, newest first unless asked otherwise. Those that wait for approval have a list of their own;
// hidden ones are here for who hid them.
func (c listing) listReplies(all []*media) answer {
	return c.repliesThat(all, func(m *media) bool { return !m.approval.waits() && c.sees(m) })
}

func (c listing) repliesThat(all []*media, belong func(*media) bool) answer {
	p, err := readListParams(c.params, c.at)
	if err != nil {
		return badParam(err.Error())
	}
	newestFirst := true
	if readFlag(c.params.Get("reverse"), &newestFirst) != nil {
		return badParam("reverse must be a boolean")
	}
	p.oldestFirst = !newestFirst
	return c.page(p, c.among(all, p, belong), nil)
}

// conversation answers all replies below a top-level post in one flat list.
func conversation(c *call) answer {
	m, a, ok := c.conversed()
	if !ok {
		return a
	}
	if m.root != m {
		return badParam("id must be the id of a top-level post")
	}
	return listing{c}.listReplies(below(m))
}

// below are all replies in a conversation, in the order of their commits.
func below(m *media) []*media {
	var all []*media
	for _, reply := range m.answers {
		all = append(append(all, reply), below(reply)...)
	}
	slices.SortFunc(all, func(a, b *media) int { return int(number(a.ID) - number(b.ID)) })
	return all
}

// pendingReplies answers the replies that wait for the caller's approval, and those set aside. The words of the filter
// are case-sensitive.
func pendingReplies(c *call) answer {
	m := c.own(c.path)
	if m == nil {
		return noSuchObject(c.path)
	}
	if a, ok := c.needs(threads.ScopeReadReplies); !ok {
		return a
	}
	wanted := approval(c.params.Get("approval_status"))
	if wanted != "" && !wanted.waits() {
		return badParam("approval_status must be one of {pending, ignored}")
	}
	return listing{c}.repliesThat(below(m), func(m *media) bool {
		return m.approval.waits() && (wanted == "" || m.approval == wanted)
	})
}

// replyCount is how many replies others see: all of a conversation for its first post, the direct ones for a reply.
func (s *store) replyCount(m *media) int {
	n := 0
	for _, reply := range m.answers {
		if !s.public(reply) {
			continue
		}
		n++
		if m.root == m {
			n += s.replyCountBelow(reply)
		}
	}
	return n
}

func (s *store) replyCountBelow(m *media) int {
	n := 0
	for _, reply := range m.answers {
		if s.public(reply) {
			n++
		}
		n += s.replyCountBelow(reply)
	}
	return n
}
