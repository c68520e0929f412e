package threadssim

import (
	"slices"

	"github.com/omni-write/threads/internal/threads"
)

// public says whether a post is there for everyone to see: not deleted, not waiting for approval, not hidden, and of a
// public profile.
func (s *store) public(m *media) bool {
	return !m.deleted && !m.owner.private() && !m.approval.waits() && s.hideStatus(m) != hidden
}

// sees says whether the caller, as a person at Threads, can see a post.
func (c *call) sees(m *media) bool {
	switch {
	case m.deleted:
		return false
	case m.owner == c.user:
		return true
	case !m.listed(c.at) || m.owner.private() || (m.of.Ghost && !c.at.Before(m.ghostEnds())):
		return false
	case m.root.owner == c.user:
		return true // also what waits or was hidden
	}
	return c.store.public(m)
}

// visible finds a post that the caller can see and this token may read: the caller's own, those in conversations the
// caller began, and with one of the scopes for posts of others, public ones.
func (c *call) visible(id string) *media {
	m := c.store.media[id]
	if m == nil || !c.sees(m) {
		return nil
	}
	mayRead := m.owner == c.user || (m.root.owner == c.user && c.token.has(threads.ScopeReadReplies))
	for _, scope := range []string{threads.ScopeKeywordSearch, threads.ScopeManageMentions, threads.ScopeProfileDiscovery} {
		mayRead = mayRead || c.token.has(scope)
	}
	if !mayRead {
		return nil
	}
	return m
}

// mayReply is the judgement of reply_control, whose word is that of the post replied to, or of the conversation when the
// post has none. Who began the conversation may always reply.
func (s *store) mayReply(author *user, parent *media, text string) bool {
	root := parent.root
	if author == root.owner || author == parent.owner {
		return true
	}
	control, asks := parent.of.ReplyControl, parent
	if control == "" {
		control, asks = root.of.ReplyControl, root
	}
	switch control {
	case "accounts_you_follow":
		return asks.owner.follows(author)
	case "followers_only":
		return author.follows(asks.owner)
	case "mentioned_only":
		return slices.Contains(mentionsIn(asks.of.Text), author.Username)
	case "parent_post_author_only":
		above := s.media[asks.of.ReplyTo]
		return above != nil && above.owner == author
	}
	return true
}
